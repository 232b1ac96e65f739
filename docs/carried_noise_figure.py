"""The figure of carried-noise.md, and the numbers beside it: `python docs/carried_noise_figure.py`.

Made by the teachers alone, from the clip that ships; no model is loaded.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models import moved_noise
from models.fields import CarriedFields, noise_plane
from models.training.measures import band_correlation_of, stroke_energy
from models.training.teachers import Sketch, frame_of, latent_noise, paint

DOCS = Path(__file__).resolve().parent
CLIP = DOCS.parent / "examples" / "clips" / "bunny.mp4"
FRAME = 60
PHOTO = 512, 352
"""Width and height of a painting; the frame has half of it."""

PLACE = 64, 8
"""Left and top of the window of the clip before the pan."""

PAN = 24
"""Pixels of the clip that the camera moves by: 12 of the frame, no multiple of a latent cell."""

NOISES = 16
TILE = 320
LABEL = 26
DETAIL = 96, 64, 224
"""Left, top and width of the detail that is enlarged, in the first painting."""

Picture = NDArray[np.uint8]
Image = torch.Tensor


def photograph(left: int) -> Picture:
    """A window of one frame of the clip, RGB."""
    film = cv2.VideoCapture(str(CLIP))
    film.set(cv2.CAP_PROP_POS_FRAMES, FRAME)
    read, bgr = film.read()
    if not read:
        raise OSError(f"{CLIP} cannot be read")
    top = PLACE[1]
    window = bgr[top : top + PHOTO[1], left : left + PHOTO[0], ::-1]
    return np.ascontiguousarray(window, np.uint8)


def image(picture: Picture) -> Image:
    """(1, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1


def grey(plane: Image) -> Picture:
    """A plane of about unit spread as a picture; -2 is black, 2.5 white."""
    levels = ((plane[0, 0] + 2) / 4.5 * 255).clamp(0, 255).numpy().astype(np.uint8)
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8)


def tile(picture: Picture, label: str) -> Picture:
    """A picture, `TILE` wide, under its name."""
    height = round(picture.shape[0] * TILE / picture.shape[1])
    how = cv2.INTER_AREA if picture.shape[1] > TILE else cv2.INTER_NEAREST
    head = np.full((LABEL, TILE, 3), 255, np.uint8)
    cv2.putText(head, label, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    small = cv2.resize(picture, (TILE, height), interpolation=how)
    return np.vstack([head, np.asarray(small, np.uint8)])


def row(*tiles: Picture) -> Picture:
    return np.hstack(tiles)


def fields_row(photo: Picture, noise: Image) -> list[Picture]:
    """Frame, noise, planes and what two teachers paint from them."""
    frame, plane = image(frame_of(photo)), noise_plane(noise)
    panes = CarriedFields(("panes",))(frame, plane)
    hatching = CarriedFields(("hatching",))(frame, plane)
    sketch = Sketch(photo, noise)
    mean = np.mean([paint("oil painting", s) for s in sketches(photo)], axis=0)
    first = row(
        tile(photo, "photograph"),
        tile(grey(plane), "n: the noise of the latents"),
        tile(grey(panes[:, :1]), "a_fine: carried, fine strokes"),
        tile(grey(panes[:, 1:2]), "a_broad: carried, broad strokes"),
    )
    second = row(
        tile(mean.astype(np.uint8), f"oil, mean of {NOISES} noises"),
        tile(paint("oil painting", sketch), "oil, the teacher under n"),
        tile(grey(hatching[:, 2:3]), "C of hatching"),
        tile(paint("pencil sketch", sketch), "pencil, the teacher under n"),
    )
    third = row(
        tile(grey(panes[:, 2:3]), "C of panes: distance to the lead"),
        tile(grey(panes[:, 3:]), "H of panes: a number a pane"),
        tile(paint("stained glass", sketch), "stained glass under n"),
        tile(paint("oil painting", Sketch(photo, latent(NOISES))), "oil, another noise"),
    )
    return [first, second, third]


def latent(seed: int) -> Image:
    return latent_noise(seed, PHOTO[1] // 2, PHOTO[0] // 2)


def sketches(photo: Picture) -> list[Sketch]:
    return [Sketch(photo, latent(seed)) for seed in range(NOISES)]


def along(noise: Image, by: int) -> Image:
    """Noise (1, 16, h, w) moved to the left by pixels of the frame, in steps of 2."""
    height, width = PHOTO[1] // 4, PHOTO[0] // 4
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return moved_noise(noise, torch.stack([x + by // 2, y], dim=-1))


def pan_row(noise: Image) -> Picture:
    """A detail that stays on its thing, before and after a pan, and how far it changed."""
    before, after = photograph(PLACE[0]), photograph(PLACE[0] + PAN)
    left, top, width = DETAIL
    height = width * PHOTO[1] // PHOTO[0]
    window = slice(top, top + height)
    paintings = {
        "before the pan": (paint("oil painting", Sketch(before, noise)), left),
        "after it, noise left behind": (paint("oil painting", Sketch(after, noise)), left - PAN),
        "after it, noise moved along": (
            paint("oil painting", Sketch(after, along(noise, PAN // 2))),
            left - PAN,
        ),
    }
    cut = {
        name: np.ascontiguousarray(picture[window, at : at + width])
        for name, (picture, at) in paintings.items()
    }
    first, stays, moves = cut.values()
    print("pan, noise left behind", round(inner_correlation(first, stays), 3))
    print("pan, noise moved along", round(inner_correlation(first, moves), 3))
    changed = np.hstack([difference(first, picture)[:, : width // 2] for picture in (stays, moves)])
    tiles = [tile(picture, name) for name, picture in cut.items()]
    return row(*tiles, tile(changed, "change x2: left behind | moved along"))


def difference(a: Picture, b: Picture) -> Picture:
    return np.asarray(np.clip(2 * np.abs(a.astype(np.int16) - b), 0, 255), np.uint8)


def inner_correlation(a: Picture, b: Picture) -> float:
    return band_correlation_of(image(a), image(b))


def mean_figures(photo: Picture) -> None:
    """What the best answer without the noise is worth, beside each painting that it leaves out."""
    kept = sketches(photo)
    for look in ("oil painting", "van gogh", "pencil sketch", "stained glass"):
        paintings = torch.cat([image(paint(look, sketch)) for sketch in kept])
        found, energy = [], []
        for painting in paintings.split(1):
            mean = (paintings.sum(0, keepdim=True) - painting) / (NOISES - 1)
            found.append(band_correlation_of(mean, painting))
            energy.append(stroke_energy(mean, painting))
        plain = [band_correlation_of(image(photo), p) for p in paintings.split(1)]
        figures = [round(float(np.mean(each)), 3) for each in (plain, found, energy)]
        print(f"{look}: photograph {figures[0]}, mean {figures[1]}, its energy {figures[2]}")


def main() -> None:
    photo, noise = photograph(PLACE[0]), latent(0)
    rows = [*fields_row(photo, noise), pan_row(noise)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(DOCS / "carried-noise.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])
    mean_figures(photo)


if __name__ == "__main__":
    main()
