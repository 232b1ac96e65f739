"""Chooses the fast path of an engine: the one asked for, or the fastest that works here."""

from typing import get_args

import torch

from models.acceleration import Acceleration, CompileMode
from models.acceleration.cpu.openvino import PRECISIONS
from models.engine import Engine
from models.recipe import Recipe

SERVED: dict[str, tuple[Acceleration, ...]] = {
    "cpu": ("auto", "off", "openvino", "eager"),
    "cuda": ("auto", "off"),
    "mps": ("auto", "off"),
}
"""What may be asked for, by device."""


def check_acceleration(
    acceleration: Acceleration,
    device: torch.device,
    dtype: torch.dtype | None,
    compile: CompileMode = "auto",
) -> None:
    """Refuse what cannot be, before anything is loaded.

    Raises:
        ValueError: With what can be asked for.
    """
    if acceleration not in SERVED[device.type]:
        expected = ", ".join(SERVED[device.type])
        raise ValueError(f"got acceleration={acceleration!r} on {device}, expected {expected}")
    if acceleration == "openvino" and dtype not in (None, torch.float32, torch.bfloat16):
        raise ValueError(f"got dtype={dtype} for OpenVINO, expected float32 or bfloat16")
    if compile not in get_args(CompileMode):
        raise ValueError(f"got compile={compile!r}, expected {', '.join(get_args(CompileMode))}")
    if compile == "now" and device.type != "cuda":
        raise ValueError(
            f"got compile='now' on {device}, expected 'off' or 'auto': only what runs on an NVIDIA "
            "GPU is compiled"
        )
    if compile == "now" and acceleration != "auto":
        raise ValueError("got compile='now', expected 'off' or 'auto' without acceleration='auto'")


def loading_dtype(
    acceleration: Acceleration, device: torch.device, dtype: torch.dtype | None
) -> torch.dtype:
    """What to load the networks in; a fast path on the CPU starts from float32."""
    if device.type == "cpu" and (dtype is None or acceleration in ("openvino", "eager")):
        return torch.float32
    return dtype or torch.float16


def accelerate(
    engine: Engine,
    acceleration: Acceleration,
    dtype: torch.dtype | None,
    compile: CompileMode = "auto",
    recipe: Recipe | None = None,
) -> None:
    """Put the path asked for into an engine as `load_engine` made it, plain.

    With a dtype given, "auto" leaves an engine on the CPU plain: another path would compute in
    another.

    Raises:
        ImportError: "openvino" was asked for and is not installed.
        RuntimeError, UnsupportedUNetError: It was asked for and cannot run this model.
    """
    from models.acceleration.cpu.accelerate import (  # brings diffusers
        accelerate_cpu,
        use_eager,
        use_openvino,
    )

    if acceleration == "openvino":
        names = {f"torch.{name}": precision for precision, name in PRECISIONS.items()}
        use_openvino(engine, names.get(str(dtype)))
    elif acceleration == "eager":
        use_eager(engine, dtype)
    elif acceleration == "auto" and dtype is None and engine.device.type == "cpu":
        accelerate_cpu(engine, recipe)
    elif acceleration == "auto" and engine.device.type == "cuda":
        from models.acceleration.cuda.accelerate import accelerate_cuda

        accelerate_cuda(engine, compile)
