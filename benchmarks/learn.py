"""How near `allaprima learn` comes to painters that the model never saw, on other frames of a clip.

    python benchmarks/learn.py [--steps N] [--pictures FOLDER] [CLIP[@FRAME] ...]

One frame of each clip is painted by each of three painters (tests/support/unseen_painters.py) and
learned. Two frames of 1.6 and 3 s later are then painted by the engine with the LoRA and by the
painter, and compared: `models.learning.distance`, as shares of the photograph's distance. A line
for each, and last one JSON object.
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models import learn_look, load_engine
from models.learning.distance import Distance, look_distance
from models.learning.pairs import resized, working_size
from models.training.batches import SCALE, to_image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from unseen_painters import PAINTERS  # noqa: E402 - the tests' own painters

CLIPS = [str(ROOT / "examples" / "clips" / name) for name in ("bunny.mp4", "face.mp4")]
KEY_FRAME = 20
LATER = (40, 75)
"""Frames after the one that is painted."""

SHORT_SIDE = 256

Picture = NDArray[np.uint8]


def frames_of(spec: str) -> list[Picture]:
    """The frame that is painted, and the later ones, uint8 RGB at the size of a painting."""
    path, _, first = spec.partition("@")
    key = int(first or KEY_FRAME)
    wanted = {key, *(key + later for later in LATER)}
    found = []
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                found.append(frame.to_ndarray(format="rgb24"))
            if index >= max(wanted):
                break
    width, height = working_size(found[0].shape[1::-1], SHORT_SIDE, 16)
    return [resized(one, (SCALE * width, SCALE * height)) for one in found]


def painted_by(look: Path, pictures: list[Picture]) -> list[Picture]:
    """Pictures of the size of a painting, by the engine with a look as the commands load it."""
    engine = load_engine("bundled", device="cpu", loras=[str(look)])
    style = engine.default_style
    conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)
    painted = []
    for picture in pictures:
        size = picture.shape[1] // SCALE, picture.shape[0] // SCALE
        noise = engine.noise(style, size)
        painted.append(engine.paint(resized(picture, size), noise, conditioning, schedule))
    return painted


def run(spec: str, painter: str, steps: int, pictures: Path | None) -> dict[str, Any]:
    """Learn, and paint the other frames."""
    key, *others = frames_of(spec)
    paint = PAINTERS[painter]
    before_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    look = learn_look([(key, paint(key))], painter, steps=steps, minutes=1e6)
    took_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before_s
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "look.safetensors"
        look.save(file)
        painted = painted_by(file, others)
    distances = []
    for number, (other, ours) in enumerate(zip(others, painted, strict=True)):
        wanted = paint(other)
        distances.append(look_distance(*(to_image(one[None]) for one in (ours, wanted, other))))
        if pictures is not None:
            name = f"{Path(spec).stem}-{painter}-{number}.png"
            sheet = np.hstack([other, wanted, ours])
            cv2.imwrite(str(pictures / name), sheet[..., ::-1])
    mean = Distance(*(float(np.mean(column)) for column in zip(*distances, strict=True)))
    return {
        "clip": Path(spec).name,
        "painter": painter,
        "from": look.nearest,
        "colors": round(mean.colors, 3),
        "marks": round(mean.marks, 3),
        "distance": round(mean.mean, 3),
        "corner": [[step, round(distance.mean, 3)] for step, distance in look.history],
        "kept": look.best[0],
        "cpu_s": round(took_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", default=CLIPS)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--painters", nargs="*", default=list(PAINTERS))
    parser.add_argument("--pictures", type=Path, help="folder for sheets to look at")
    asked = parser.parse_args()
    rows = []
    for spec in asked.clips:
        for painter in asked.painters:
            rows.append(run(spec, painter, asked.steps, asked.pictures))
            row = rows[-1]
            print(
                f"{row['clip']:20} {painter:10} {row['distance']:.2f} "
                f"(colours {row['colors']:.2f}, marks {row['marks']:.2f}), {row['cpu_s']} s",
                flush=True,
            )
    worst = max(row["distance"] for row in rows)
    print(json.dumps({"steps": asked.steps, "worst": worst, "rows": rows}))


if __name__ == "__main__":
    main()
