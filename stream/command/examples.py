"""The examples at the end of each command's help. Plain data."""

EXAMPLES = {
    "restyle": (
        'allaprima restyle clip.mp4 -o painted.mp4 --prompt "oil painting"',
        "allaprima restyle a.mp4 b.mov -o painted/ --strength 0.8",
        'allaprima restyle "shots/*.png" -o shots.mp4 --prompt watercolor',
    ),
    "live": (
        'allaprima live --prompt "oil painting"',
        "allaprima live --from rtsp://camera/stream --to take.mp4 --to virtualcam",
        "allaprima live --from clip.mp4 --loop --to rtmp://server/app/key --audio",
    ),
    "learn": (
        "allaprima learn --frame still.png --painting painted.png -o mylook.safetensors",
        "allaprima learn --frame stills/ --painting painted/ -o mylook.safetensors --minutes 5",
        "allaprima restyle clip.mp4 -o painted.mp4 --lora mylook.safetensors",
    ),
    "models": (
        "allaprima models",
        "allaprima models --json",
        "allaprima restyle clip.mp4 -o painted.mp4 --model lcm-dreamshaper-v7",
    ),
    "styles": (
        "allaprima styles",
        "allaprima restyle face.jpg -o face.png --prompt charcoal",
        'allaprima live --prompt "oil painting:0.7 | neon:0.3"',
    ),
    "devices": (
        "allaprima devices",
        "allaprima devices --json",
        'allaprima live --from "HD Webcam"',
    ),
    "studio": (
        "allaprima studio",
        "allaprima studio --host 0.0.0.0 --tls self --seats 3",
    ),
    "jobs": (
        "allaprima jobs painted/",
        "allaprima jobs painted/ --clear",
        "allaprima jobs --json",
    ),
    "doctor": (
        "allaprima doctor",
        "allaprima doctor --size 192",
        "allaprima doctor --json",
    ),
}
"""Three of each command, shown at the end of its help."""


def epilog(command: str, *more: str) -> str:
    """The end of a command's help; typer makes a line of each paragraph."""
    return "\n\n".join(["Examples:", *EXAMPLES[command], *more])
