"""The drawn figures of the README and the site, as SVG: `python docs/figures.py`."""

from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
INK, SOFT, PAINT, PAPER = "#2b2b33", "#6b6b76", "#d9480f", "#ffffff"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"

Box = tuple[int, int, int, int]


def box(place: Box, *lines: str, colour: str = INK, fill: str = "#f7f5f2") -> str:
    """A rounded box at (x, y, width, height) with centred lines, the first one bold."""
    x, y, width, height = place
    shape = f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='8' fill='{fill}' "
    shape += f"stroke='{colour}' stroke-width='1.5'/>"
    top = y + height / 2 - 8 * (len(lines) - 1) + 4.5
    words = [
        text(x + width / 2, top + 16 * row, line, bold=row == 0, colour=INK if row == 0 else SOFT)
        for row, line in enumerate(lines)
    ]
    return shape + "".join(words)


def text(x: float, y: float, line: str, *, bold: bool = False, colour: str = SOFT) -> str:
    weight, size = ("600", 13) if bold else ("400", 11)
    return (
        f"<text x='{x:g}' y='{y:g}' text-anchor='middle' font-size='{size}' font-weight='{weight}' "
        f"fill='{colour}' {FONT}>{line}</text>"
    )


def arrow(*points: tuple[int, int], dashed: bool = False) -> str:
    way = " ".join(f"{x},{y}" for x, y in points)
    dash = " stroke-dasharray='5 4'" if dashed else ""
    return (
        f"<polyline points='{way}' fill='none' stroke='{SOFT}' stroke-width='1.6'{dash} "
        "marker-end='url(#head)'/>"
    )


def figure(name: str, width: int, height: int, title: str, *parts: str) -> None:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' role='img' aria-label='{title}'>"
        "<defs><marker id='head' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        f"markerHeight='7' orient='auto'><path d='M0 0 8 4 0 8z' fill='{SOFT}'/></marker></defs>"
        f"<rect width='{width}' height='{height}' rx='10' fill='{PAPER}'/>"
    )
    (FOLDER / name).write_text(f"{head}{''.join(parts)}</svg>\n", encoding="utf-8")


def painting() -> None:
    """One frame of a file, from the source to the sink."""
    row, tall = 78, 64
    steps = (
        ("encode", "to latents"),
        ("add noise", "fixed by the seed"),
        ("UNet", "1-2 LCM steps", "prompt, strength"),
        ("decode", "to a picture"),
        ("blend", "with the last picture", "moved by the flow"),
    )
    places, x = [], 176
    for words in steps:
        width = 20 + 6 * max(len(word) for word in words) + 2
        places.append((x, row, width, tall))
        x += width + 22
    loop = (160, 36, x - 22 - 160 + 16, 124)
    sink = (loop[0] + loop[2] + 44, row, 116, tall)
    middle = row + tall // 2
    figure(
        "how-it-works.svg",
        sink[0] + sink[2] + 12,
        212,
        "A frame is encoded, noised, painted back by the UNet, decoded and blended",
        box(loop, fill="#fff4ec", colour=PAINT),
        text(loop[0] + loop[2] / 2, 58, "stylizer: one frame after the other", bold=True),
        box((12, row, 104, tall), "source", "video, pictures,", "test pattern"),
        arrow((116, middle), (160, middle)),
        text(138, middle - 8, "frames"),
        *(box(place, *words) for place, words in zip(places, steps, strict=True)),
        *(
            arrow((left[0] + left[2], middle), (right[0], middle))
            for left, right in pairwise(places)
        ),
        arrow((loop[0] + loop[2], middle), (sink[0], middle)),
        text(loop[0] + loop[2] + 22, middle - 8, "frames"),
        box(sink, "sink", "video, pictures,", "null"),
        arrow(
            (64, row + tall),
            (64, 186),
            (sink[0] + 58, 186),
            (sink[0] + 58, row + tall),
            dashed=True,
        ),
        text(sink[0] / 2 + 60, 202, "sound, subtitles, chapters, time stamps: copied"),
    )


def live() -> None:
    """The threads of a live session."""
    figure(
        "live.svg",
        760,
        250,
        "The threads of a live session: capture, paint, move, and one for each output",
        box((12, 96, 116, 58), "capture", "camera, stream,", "screen, file"),
        arrow((128, 112), (196, 66)),
        text(146, 72, "newest"),
        arrow((128, 138), (196, 184)),
        text(146, 186, "newest"),
        box(
            (200, 36, 156, 60),
            "paint",
            "the model; the governor",
            "says with how much effort",
            fill="#fff4ec",
            colour=PAINT,
        ),
        box((200, 154, 156, 60), "move", "the newest painting,", "along the optical flow"),
        arrow((278, 96), (278, 154)),
        text(322, 130, "newest painting"),
        arrow((356, 66), (424, 112)),
        arrow((356, 184), (424, 138)),
        box((428, 96, 116, 58), "present", "split, freeze,", "bypass, cross-fade"),
        *(
            arrow((544, 125), (620, y + 22)) + box((624, y, 124, 44), title, told)
            for y, title, told in (
                (14, "write window", "the main thread"),
                (74, "write virtualcam", "newest only"),
                (134, "write rtmp://…", "a process of its own"),
                (194, "write take.mp4", "a short backlog"),
            )
        ),
    )


if __name__ == "__main__":
    painting()
    live()
