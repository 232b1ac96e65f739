"""Stage `calibrate`: between what values the inputs of a model's convolutions lie.

So that they can be computed in 8-bit integers (`acceleration/cpu/quantization.py`). The pictures
are the training's, in every look, at strengths from light to full, in one, two and four steps.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.acceleration.cpu.quantization import Ranges, save_ranges
from models.engine import Engine
from models.loading import load_engine
from models.style import Style
from models.styles import STYLES
from models.training.batches import halved
from models.training.material.paintings import Paintings
from models.training.measures import paint

STRENGTHS = (0.3, 0.5, 0.6, 0.7, 0.9)
STEPS = (1, 2, 1, 4)
PICTURES = 144

EXACT = re.compile(
    r"unet\.conv_in$|unet\.down_blocks\.0\.resnets\.|unet\.up_blocks\.1\.|unet\.conv_out$"
    r"|conv_shortcut$|stem\.conv_in$|stem\.down$|vae\.encoder\.\d+$|vae\.decoder\.(0|8|10)$"
)
"""Names of convolutions that are left out: the outermost, whose errors nothing later evens out.
All in 8 bits save a tenth of the time more, at three times the error (root mean square 1.9 levels
against 0.6; bfloat16 alone has 0.5)."""

EXTREME = 0.99
"""Of all calls have no larger value in a channel: a few wild ones would coarsen all others."""


def calibrate(folder: Path, runs: Path, count: int = PICTURES) -> None:
    """Measure the model in `folder` on `count` training pictures; write its ranges there."""
    engine = load_engine(str(folder), device="cpu", acceleration="off")
    paintings = Paintings(runs / "paintings" / "train")
    indices = [row.index for row in paintings.rows]
    random = np.random.default_rng(0)

    def run() -> None:
        for index in range(count):
            style = Style(
                STYLES[index % len(STYLES)].prompt,
                strength=STRENGTHS[index % len(STRENGTHS)],
                num_inference_steps=STEPS[index // len(STYLES) % len(STEPS)],
            )
            photo = paintings.photo(int(random.choice(indices)))
            paint(engine, style, [halved(photo)])

    save_ranges(measure(engine, run), folder)


def measure(engine: Engine, run: Callable[[], object]) -> Ranges:
    """The ranges of a plain engine's convolutions while `run` paints with it."""
    seen: dict[str, list[Tensor]] = {}
    with _watched(engine, seen):
        run()
    return {name: _outer(torch.stack(values)) for name, values in seen.items()}


@contextmanager
def _watched(engine: Engine, seen: dict[str, list[Tensor]]) -> Iterator[None]:
    """Add to `seen`, at every call of a convolution, the range (2, C) of its input."""
    networks: Any = engine.networks
    parts = {"unet": networks.predict.unet, "vae": networks.encode.vae}
    if networks.stem is not None:
        parts["stem"] = networks.stem.features.stem

    def look(name: str, _: nn.Module, given: tuple[Tensor]) -> None:
        extremes = torch.stack([given[0].amin((0, 2, 3)), given[0].amax((0, 2, 3))])
        seen.setdefault(name, []).append(extremes.float().cpu())

    hooks = [
        module.register_forward_pre_hook(partial(look, f"{part}.{name}"))
        for part, network in parts.items()
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and not is_exact(f"{part}.{name}")
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def is_exact(name: str) -> bool:
    """Whether a convolution is none for 8 bits."""
    return EXACT.search(name) is not None


def _outer(values: Tensor) -> NDArray[np.float32]:
    """(calls, 2, C) -> (2, C): what `EXTREME` of the calls stay within."""
    least = torch.quantile(values[:, 0], 1 - EXTREME, dim=0)
    largest = torch.quantile(values[:, 1], EXTREME, dim=0)
    return np.asarray(torch.stack([least, largest]), dtype=np.float32)
