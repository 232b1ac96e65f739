"""What stands for the GPU in `gpu_report.py`'s own steps: CUDA, or in a dry run the recorder."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from random_models import Architecture, random_engine

from models import Engine
from models.acceleration import CompileMode
from models.acceleration.cuda.accelerate import accelerate_cuda
from models.acceleration.cuda.device import Cuda, Device

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"


@dataclass(frozen=True)
class Gpu:
    """Where the steps run.

    Attributes:
        is_dry: On the CPU, with the recorder.
    """

    is_dry: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.is_dry else "cuda")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.is_dry else torch.float16

    def runtime(self) -> Device:
        """A runtime for one engine."""
        if not self.is_dry:
            return Cuda(self.device)
        if str(SUPPORT) not in sys.path:
            sys.path.append(str(SUPPORT))
        from replays import Recorder

        return Recorder()

    def engine(self, architecture: Architecture, dtype: torch.dtype | None = None) -> Engine:
        """A plain engine with random weights."""
        return random_engine(architecture, self.device, dtype or self.dtype)

    def graphed(self, engine: Engine, compile: CompileMode = "off") -> Engine:
        """The same by graphs."""
        accelerate_cuda(engine, compile, self.runtime())
        return engine

    def finish(self) -> None:
        """Wait for the device."""
        if not self.is_dry:
            torch.cuda.synchronize()
