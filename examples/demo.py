"""What `make demo` runs: restyle a clip that ships, draw before and after, say how fast it went."""

import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np

from stream import open_source
from stream.command.main import app

CLIP = Path(__file__).parent / "clips" / "face.mp4"
SHOWN = (0.15, 0.5, 0.85)  # of the clip, left to right

folder = Path("demo")
folder.mkdir(exist_ok=True)
painted, report, sheet = (folder / name for name in ("painted.mp4", "report.json", "sheet.jpg"))
prompt, *options = sys.argv[1:] or ["van gogh"]

arguments = ["restyle", str(CLIP), "-o", str(painted), "--prompt", prompt]
arguments += ["--overwrite", "--json", str(report), *options]
print("allaprima", shlex.join(arguments))
if code := app(arguments, standalone_mode=False):
    sys.exit(code)


def pictures(path: Path) -> list[np.ndarray]:
    """The frames shown of a clip, RGB."""
    with open_source(path) as source:
        frames = [frame.data for frame in source]
    return [frames[int(share * len(frames))] for share in SHOWN]


rows = [np.hstack(pictures(path)) for path in (CLIP, painted)]
cv2.imwrite(str(sheet), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))

told = json.loads(report.read_text(encoding="utf-8"))
print(f"\n{told['frames_out']} frames of {CLIP.name} as {prompt!r}, sound and timing kept.")
print(f"Speed: {told['fps']:.1f} frames a second on this machine.")
print(f"Watch {painted.resolve()}")
print(f"Compare {sheet.resolve()} (above: before, below: after)")
