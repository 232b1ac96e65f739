"""How many threads to compute with: one a physical core, fewer where others are at work.

Two threads of one core share its multipliers. And torch's threads wait for each other at the end of
every operation: where another program holds one core, all wait for it (measured on two cores under
load: single operations of 0.1 ms took 40 ms in one case of ten).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

PROBE_SIDE = 512
"""Side of the matrices of a trial: about 2 ms on one core, as a layer of a small model."""

PROBE_ROUNDS = 10

TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(topology: Path = TOPOLOGY) -> int:
    """Cores that this process may run on, each counted once however many threads it has.

    Where the system does not say (it is no Linux), every logical processor counts.
    """
    processors = _allowed()
    siblings = {_siblings(topology, processor) for processor in processors}
    return max(1, len(siblings))


def quickest_threads(
    count: int,
    run: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """`count` of torch's threads, or 1 where others hold the cores: whichever is quicker just now.

    Tried in turns for some 50 ms, and judged by the sum, in which a few long waits weigh. torch's
    thread count is left as it was.
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
    return min(spent_s, key=lambda threads: spent_s[threads])


def _probe() -> Callable[[], object]:
    matrix = torch.ones(PROBE_SIDE, PROBE_SIDE)
    return lambda: matrix @ matrix


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
