"""Counts physical cores, and tries whether torch is quicker on one thread of a busy machine.

Used by `accelerate.py` and, for models that are kept, `openvino_cache.py`; a recipe overrides both.

Two threads of one core share its multipliers. And torch's threads wait for each other at the end of
every operation: where another program holds one core, all wait for it. (Measured on two cores that
others kept busy: a bfloat16 frame of the bundled model at 256x256 took 48 ms on one thread and 278
on two, medians in turns. OpenVINO's threads do not wait so: 43 ms on two.)
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

PROBE_SIDE = 256
PROBE_PRODUCTS = 10
"""A trial is so many products of square matrices, each some 0.3 ms: threads meet after each one."""

PROBE_ROUNDS = 10

WORTH_IT = 1.25
"""How much quicker several threads must be than one: a wrong guess costs more than it can gain."""

TOPOLOGY = Path("/sys/devices/system/cpu")
CONTROL_GROUP = Path("/sys/fs/cgroup")


def physical_cores(topology: Path = TOPOLOGY, control_group: Path = CONTROL_GROUP) -> int:
    """Cores that this process may run on, each counted once however many threads it has.

    No more than a container is given the time of (`docker --cpus 2`): threads beyond that are
    stopped for a part of every tenth of a second. Where the system does not say (it is no Linux),
    every logical processor counts.
    """
    processors = _allowed()
    siblings = {_siblings(topology, processor) for processor in processors}
    granted = _granted(control_group)
    return max(1, len(siblings) if granted is None else min(len(siblings), granted))


def quickest_threads(
    count: int,
    run: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """`count` of torch's threads, or 1 where others hold the cores: whichever is quicker just now.

    Tried in turns for some 50 ms (longer where threads wait), and judged by the sum, in which a few
    long waits weigh. torch's thread count is left as it was.
    """
    if count == 1:
        return 1
    before = torch.get_num_threads()
    spent_s = {count: 0.0, 1: 0.0}
    try:
        run = run or _probe()
        for index in range(PROBE_ROUNDS + 1):
            for threads in spent_s:
                torch.set_num_threads(threads)
                start_s = clock()
                run()
                if index:  # the first starts the threads
                    spent_s[threads] += clock() - start_s
    finally:
        torch.set_num_threads(before)
    return count if spent_s[count] * WORTH_IT < spent_s[1] else 1


def told(count: int) -> str:
    """Such as "2 threads"."""
    return f"{count} thread{'s' * (count > 1)}"


def _probe() -> Callable[[], object]:
    matrix = torch.ones(PROBE_SIDE, PROBE_SIDE)
    return lambda: [matrix @ matrix for _ in range(PROBE_PRODUCTS)]


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _granted(control_group: Path) -> int | None:
    """Processors' worth of time that a Linux control group grants, of version 2 or 1."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            told = " ".join((control_group / name).read_text() for name in names)
            quota, period = (float(number) for number in told.split())
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
        if quota > 0 and period > 0:
            return math.ceil(quota / period)
    return None


def _siblings(topology: Path, processor: int) -> str:
    path = topology / f"cpu{processor}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return str(processor)
