"""Stage `sheets`: what the model paints, as compressed pictures for the readme and the card."""

from pathlib import Path

import cv2
import numpy as np

from models.engine import Engine
from models.loading import load_engine
from models.style import Style
from models.styles import STYLES
from models.training.measures import paint
from models.training.teachers.renderers import Picture

LABEL_HEIGHT = 18
JPEG_QUALITY = 82
STRENGTHS = (0.2, 0.35, 0.5, 0.6, 0.8, 0.95)


def cell(picture: Picture, label: str, side: int) -> Picture:
    """The picture at `side` px with a label above it."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    bar = np.full((LABEL_HEIGHT, side, 3), 255, np.uint8)
    cv2.putText(bar, label, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([bar, small]).astype(np.uint8)


def painted(engine: Engine, style: Style, picture: Picture) -> Picture:
    return np.asarray(engine.to_data(paint(engine, style, [picture])), np.uint8)


def look_sheet(
    engine: Engine, pictures: list[Picture], side: int = 160, columns: int = 7
) -> Picture:
    """The photograph and all looks of each picture, at strength 0.6 in one step."""
    bands = []
    for picture in pictures:
        cells = [cell(picture, "input", side)]
        cells += [
            cell(painted(engine, Style(s.prompt, strength=0.6), picture), s.prompt, side)
            for s in STYLES
        ]
        cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
        rows = [np.concatenate(cells[k : k + columns], 1) for k in range(0, len(cells), columns)]
        bands.append(np.concatenate(rows))
    return np.concatenate(bands)


def strength_sheet(
    engine: Engine, picture: Picture, prompts: tuple[str, ...], side: int = 160
) -> Picture:
    """One row a prompt: rising strength, then two and four steps at 0.6."""
    rows = []
    for prompt in prompts:
        cells = [
            cell(painted(engine, Style(prompt, strength=s), picture), f"{prompt} {s}", side)
            for s in STRENGTHS
        ]
        cells += [
            cell(painted(engine, Style(prompt, 0.6, n), picture), f"{n} steps", side)
            for n in (2, 4)
        ]
        rows.append(np.concatenate(cells, 1))
    return np.concatenate(rows)


def save(sheet: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def make_sheets(model: Path | str, pictures: list[Picture], folder: Path) -> None:
    """looks.jpg and strength.jpg from square pictures of 256 px."""
    engine = load_engine(str(model), device="cpu")
    save(look_sheet(engine, pictures), folder / "looks.jpg")
    prompts = ("oil painting", "watercolor", "neon")
    save(strength_sheet(engine, pictures[0], prompts), folder / "strength.jpg")
