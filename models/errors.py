"""The errors of this package.

    ModelError
    ├── ModelNotFoundError   no such preset, folder or hub id (names the nearest presets)
    ├── ModelFormatError     a folder that is there but cannot be used (missing part, pickle, …)
    └── ModelMemoryError     the device ran out of memory (says what to make smaller)

Argument mistakes are ``ValueError``/``TypeError``; these classes are for the outside world.
Every message is one sentence that says what to do next.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class ModelError(Exception):
    """Base of everything that `models` raises about the outside world."""


class ModelNotFoundError(ModelError):
    """The name is neither a preset nor a folder, and the hub has no such model or is away."""


class ModelFormatError(ModelError):
    """The model was found but a part of it is missing, damaged or of a kind that is refused."""


class ModelMemoryError(ModelError):
    """The device has too little memory for this model at this size."""


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc")
"""What allocators say: of a GPU, torch's on the CPU, the system's, C++'s (OpenVINO)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory."""
    told = str(error)
    return isinstance(error, MemoryError) or any(words in told for words in _OUT_OF_MEMORY)


def in_short(error: BaseException) -> str:
    """What an error says, on one line of at most 200 characters; its class if it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def explained_memory_errors(device: object) -> Iterator[None]:
    """Turn the allocators' errors into ours."""
    try:
        yield
    except (RuntimeError, OSError, MemoryError) as err:
        if not is_out_of_memory(err):
            raise
        raise ModelMemoryError(
            f"{device} ran out of memory; use a smaller size or batch, a tiny VAE or a smaller "
            "model, or close other programs that use it."
        ) from err
