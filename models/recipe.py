"""Recipe: what of a model and a machine decides the bytes of a picture.

Two engines of one recipe, given one frame and one style, paint the same bytes.
"""

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

MARK_BLOCKS, BLOCK_BYTES = 64, 256 * 1024
"""A file is told from others by so many blocks, spread evenly, the first and the last among them:
16 MiB are read of the longest."""


@dataclass(slots=True)
class Computation:
    """How an engine computes frames.

    Attributes:
        path: The way, and in what, in words.
        threads: That share a frame on a CPU; 0 elsewhere.
        digest_weights: Gives the digest of the files that the engine was loaded from.
    """

    path: str
    threads: int = 0
    digest_weights: Callable[[], str] = lambda: ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the bytes beside the frame and the style.

    Attributes:
        device: The processor, with what it can compute.
        path: The way that frames are computed, and in what.
        threads: That share a frame on a CPU; 0 where each frame has one of its own, or a GPU.
        weights: Digest of the files of the model, its LoRAs and its autoencoder.
    """

    device: str
    path: str
    threads: int
    weights: str

    def as_dict(self) -> dict[str, str | int]:
        """As plain values, for JSON."""
        return asdict(self)

    @property
    def is_quantized(self) -> bool:
        """Whether convolutions are computed in 8-bit integers."""
        return "8-bit" in self.path

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """From a file: the recipe itself, or a report that has one as "recipe".

        Raises:
            ValueError: The file cannot be read or holds no recipe.
        """
        try:
            told: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise ValueError(f"got recipe={path}, expected a JSON file that can be read") from err
        told = told[0] if isinstance(told, list) and told else told
        told = told.get("recipe", told) if isinstance(told, dict) else {}
        names = ("device", "path", "threads", "weights")
        if not isinstance(told, dict) or set(told) != set(names):
            raise ValueError(f"got recipe={path}, expected {', '.join(names)} in it")
        return cls(**told)


class Computes(Protocol):
    """An engine, as far as its recipe asks."""

    @property
    def device(self) -> Any: ...

    @property
    def computation(self) -> Computation: ...

    @property
    def side_by_side(self) -> object: ...


def recipe_of(engine: Computes, *, shares_frames: bool = False) -> Recipe:
    """The recipe of a loaded engine.

    Args:
        engine: It.
        shares_frames: Its threads share a frame even where each could have a frame of its own
            (batches, a single picture).

    Raises:
        ModelError: The files of the model are not there any more.
    """
    how = engine.computation
    has_lanes = engine.side_by_side is not None and not shares_frames
    is_shared = how.threads > 1 and not has_lanes
    return Recipe(
        _device_name(engine.device),
        how.path,
        how.threads if is_shared else 0,
        how.digest_weights(),
    )


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type != "cpu":
        return f"{platform.machine()} {device.type}"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    names = sorted(name for name, has in capabilities.items() if has is True)
    return f"{_processor()} ({' '.join(names)})"


def _processor() -> str:
    """The CPU's name, as Linux tells it; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(told, platform.machine())


def file_mark(path: Path) -> str:
    """A digest of a file's length and of blocks of it; as good as one of all for what cameras,
    encoders and training write.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        length = file.seek(0, 2)
        digest.update(str(length).encode())
        last = max(0, length - BLOCK_BYTES)
        for place in sorted({last * block // (MARK_BLOCKS - 1) for block in range(MARK_BLOCKS)}):
            file.seek(place)
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()
