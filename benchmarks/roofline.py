"""What a frame costs at least: its products and its weights against what the machine can do.

    floor = the longer of  FLOPs / peak FLOP/s  and  bytes of weights read / peak bytes/s

FLOPs by torch.utils.flop_counter of the plain path (one multiply-add is two), so work that a
rewrite saves counts as if it were done. Activations are left out: those of one 512x512 frame fit
the second-level cache of large cards. So the share that a contestant reaches is of a bound which
nothing can pass, and not of what could be reached.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models import Engine, Style

BYTES_A_WEIGHT = 2
"""Half precision, in which all contestants for speed compute."""

PRODUCT_SIDE = {"cuda": 8192, "cpu": 1024}
COPIED_BYTES = {"cuda": 2**30, "cpu": 2**24}
TRIALS = 20
"""Each but a few milliseconds long, so that on a busy machine some are not interrupted."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one call has to do, for however many frames: 1e9 FLOPs, and 1e6 bytes of weights."""

    gflop: float
    weights_mb: float


@dataclass(frozen=True, slots=True)
class Peak:
    """1e12 FLOP/s of dense half-precision products summed in float32, 1e9 bytes/s of memory."""

    tflops: float
    gbs: float
    source: str

    def floor_ms(self, work: Work) -> float:
        """No call of that work can take less."""
        return max(work.gflop / self.tflops, work.weights_mb / self.gbs)


DATASHEET = "data sheet"
PEAKS = {
    "H200": Peak(989, 4800, DATASHEET),
    "H100 PCIe": Peak(756, 2000, DATASHEET),
    "H100 80GB HBM3": Peak(989, 3350, DATASHEET),
    "A100-SXM4-40GB": Peak(312, 1555, DATASHEET),
    "A100-SXM4-80GB": Peak(312, 2039, DATASHEET),
    "RTX 5090": Peak(209, 1792, DATASHEET),
    "RTX 4090": Peak(165, 1008, DATASHEET),
    "RTX 3090": Peak(71, 936, DATASHEET),
}
"""By a part of the name that torch gives; without sparsity, as NVIDIA's data sheets have it."""


def peak_of(device: torch.device, measured: Peak) -> Peak:
    """The data sheet's for a card in the table, else what was measured."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAKS.items() if part in name), measured)


def measure_peak(device: torch.device) -> Peak:
    """The best of a few large products and copies."""
    side, count = PRODUCT_SIDE[device.type], COPIED_BYTES[device.type]
    dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
    matrix = torch.randn(side, side, device=device, dtype=dtype)  # ones cost less power
    memory, copy = (torch.empty(count, dtype=torch.uint8, device=device) for _ in range(2))
    product_s = best_s(lambda: matrix @ matrix, device)
    copied_s = best_s(lambda: copy.copy_(memory), device)
    # a copy reads and writes
    return Peak(2 * side**3 / product_s / 1e12, 2 * count / copied_s / 1e9, "measured")


def best_s(call: Callable[[], object], device: torch.device) -> float:
    """The shortest of some trials, after one that does not count; each is waited for."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    durations_s = []
    for _ in range(1 + TRIALS):
        start_s = time.perf_counter()
        call()
        wait()
        durations_s.append(time.perf_counter() - start_s)
    return min(durations_s[1:])


def count_work(engine: Engine, style: Style, size: tuple[int, int], batch: int) -> Work:
    """Of `batch` frames through a plain engine, on any device, `meta` among them.

    Args:
        engine: As `load_engine` makes it with acceleration "off".
        style: Its steps count.
        size: (width, height).
        batch: Frames at a time.
    """
    networks: Any = engine.networks
    noise, schedule = engine.noise(style, size), engine.schedule(style)
    conditioning = engine.encode_prompt(style)
    image = torch.zeros(batch, 3, size[1], size[0], device=engine.device)
    with FlopCounterMode(display=False) as counter:
        features = engine.features(image, noise, conditioning)
        latents = engine.denoise(
            engine.encode(image), noise, conditioning, schedule, features=features
        )
        engine.decode(latents)
    unet, vae = weight_count(networks.predict.unet), weight_count(networks.encode.vae)
    stem = weight_count(networks.stem.features.stem) if networks.stem is not None else 0
    weights = vae + stem + unet * schedule.num_inference_steps
    return Work(counter.get_total_flops() / 1e9, weights * BYTES_A_WEIGHT / 1e6)


def weight_count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
