"""EngineOptions: what both commands are asked about the model and the machine, its checks, and the
engine that it comes to. Imports nothing heavy at the top: `--help` passes through.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from models import Engine, OnDownload

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
COMPILE = ("off", "auto", "now")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """``None`` = the model's own default; `size` is its short side in px."""

    model: str
    loras: Sequence[str]
    vae: str | None
    offline: bool
    device: str
    compile: str
    size: int | None
    stability: float | None

    def check_engine(self) -> None:
        """Refuse what no model could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        if self.stability is not None and not 0 <= self.stability <= 1:
            raise ValueError(f"got --stability {self.stability:g}, expected 0 to 1")
        if self.size is not None and self.size < 1:
            raise ValueError(f"got --size {self.size}, expected a short side such as 512")
        if not DEVICE.fullmatch(self.device):
            raise ValueError(f"got --device {self.device}, expected auto, cpu, mps, cuda or cuda:N")
        if self.compile not in COMPILE:
            raise ValueError(f"got --compile {self.compile}, expected {', '.join(COMPILE)}")

    def load_engine(self, on_download: "OnDownload | None") -> "Engine":
        """The engine that was asked for; `on_download` is told of what has to be fetched.

        Raises:
            ModelError: It cannot be found, loaded or run.
            ValueError: This machine has no such device, or compiles nothing for it.
        """
        from models import load_engine

        return load_engine(
            self.model,
            device=None if self.device == "auto" else self.device,
            loras=self.loras,
            vae=self.vae,
            compile=cast(Literal["off", "auto", "now"], self.compile),
            offline=self.offline,
            on_download=on_download,
        )
