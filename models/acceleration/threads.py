"""How many threads to compute with: one a physical core, fewer where others are at work.

Two threads of one core share its multipliers. And torch's threads wait for each other at the end of
every operation: where another program holds one core, all wait for it (measured on two cores under
load: single operations of 0.1 ms took 40 ms in one case of ten).
"""

import os
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(topology: Path = TOPOLOGY) -> int:
    """Cores that this process may run on, each counted once however many threads it has.

    Where the system does not say (it is no Linux), every logical processor counts.
    """
    processors = _allowed()
    siblings = {_siblings(topology, processor) for processor in processors}
    return max(1, len(siblings))


def idle_cores(topology: Path = TOPOLOGY) -> int:
    """`physical_cores` less what others have kept busy over the last minute; at least one."""
    cores = physical_cores(topology)
    try:
        busy = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return cores
    free = (os.cpu_count() or cores) - busy
    return max(1, min(cores, round(free)))


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(topology: Path, processor: int) -> str:
    path = topology / f"cpu{processor}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return str(processor)
