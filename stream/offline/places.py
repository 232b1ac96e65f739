"""Places: how many workers this machine gets, and where each computes. Starts nothing."""

import os
from collections.abc import Sequence

from stream.offline.worker import Place

CORES_A_WORKER = 8
"""On a CPU one process paints so many frames side by side."""

VISIBLE = "CUDA_VISIBLE_DEVICES"


def places(device: str, count: int | None) -> list[Place]:
    """A place for each worker; one place, and it is this process that paints.

    Args:
        device: As the user asked: auto, cpu, mps, cuda, cuda:N.
        count: Workers that were asked for; ``None`` is one a GPU, or one for every eight cores.
    """
    gpus = _gpus(device)
    if gpus:
        count = len(gpus) if count is None else count
        return [Place(index, gpus[index % len(gpus)]) for index in range(count)]
    cores = _cores()
    count = max(1, len(cores) // CORES_A_WORKER) if count is None else count
    return [Place(index, cores=_share(cores, index, count)) for index in range(count)]


def _gpus(device: str) -> list[str]:
    """What to make visible for each GPU that may be used."""
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        return []
    import torch

    if not torch.cuda.is_available():
        return []
    told = os.environ.get(VISIBLE)
    names = [str(index) for index in range(torch.cuda.device_count())]
    if told is not None:
        names = [name.strip() for name in told.split(",")][: len(names)]
    if device.startswith("cuda:"):
        index = int(device.partition(":")[2])
        return names[index : index + 1]
    return names


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _share(cores: Sequence[int], index: int, count: int) -> tuple[int, ...]:
    """One worker's share of the cores; more workers than cores share them."""
    if count == 1:
        return ()
    if count >= len(cores):
        return (cores[index % len(cores)],)
    return tuple(cores[len(cores) * index // count : len(cores) * (index + 1) // count])
