"""Restyle NumPy frames in a program of your own, here OpenCV's: numpy_frames.py CLIP OUT [MODEL]

The look changes halfway. OUT has no sound; `allaprima.restyle_file` keeps it.
"""

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import allaprima

if len(sys.argv) < 3:
    sys.exit(__doc__)
clip, out, *model = sys.argv[1:]
capture = cv2.VideoCapture(clip)
count, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))


def frames() -> Iterator[np.ndarray]:
    """RGB, uint8, (H, W, 3), one after the other."""
    while True:
        is_there, bgr = capture.read()
        if not is_there:
            return
        yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


writer = cv2.VideoWriter(out, cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
model = model[0] if model else "bundled"
with allaprima.Restyler("oil painting", strength=0.6, fps=fps, model=model) as restyler:
    for number, painted in enumerate(restyler.stream(frames(), look_ahead=True), start=1):
        writer.write(cv2.cvtColor(painted, cv2.COLOR_RGB2BGR))
        if number == count // 2:
            restyler.prompt = "ink"
writer.release()
print(f"{out}: {number} frames", *restyler.notes, sep="\n")
