"""Start-up: from the command to the first painted picture, with and without what is kept on disk.

    python benchmarks/startup.py [--rounds 5] [--source testsrc]

Fresh processes of `allaprima live`, in turns; each is watched through a terminal of its own until
it says that it paints. Wall time, and the processor time it took up to there, which a busy machine
disturbs less. Linux. Last line: one JSON object.
"""

import argparse
import json
import os
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import commit, machine, versions

COMMAND = Path(sys.executable).with_name("allaprima")
SAID = b"Painting;"
VARIABLE = "ALLAPRIMA_CACHE"
LIMIT_S = 120.0
UTIME, STIME = 13, 14
"""Fields of /proc/PID/stat, counted from 0 (proc(5))."""


def start(source: str, cache: str) -> tuple[float, float]:
    """Wall and processor seconds from the start of one process to its first painted picture."""
    ours, theirs = pty.openpty()
    arguments = ["live", "--from", source, "--to", "null", "--duration", "60"]
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {VARIABLE: cache},
    )
    os.close(theirs)
    heard = b""
    try:
        while SAID not in heard:
            heard += os.read(ours, 4096)
            if time.perf_counter() - start_s > LIMIT_S:
                raise TimeoutError(f"no picture within {LIMIT_S:g} s: {heard.decode()}")
        wall_s = time.perf_counter() - start_s
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[UTIME - 2]) + int(fields[STIME - 2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        os.close(ours)
    return wall_s, ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", default="testsrc=size=640x360:rate=24:duration=600")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        start(asked.source, cache)  # fills the cache, and the system's cache of files
        ways = {"nothing kept": "", "kept on disk": cache}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(asked.rounds):
            for name, folder in ways.items():
                times[name].append(start(asked.source, folder))
    rows = {}
    for name, measured in times.items():
        walls, works = zip(*measured, strict=True)
        rows[name] = {"wall_s": statistics.median(walls), "processor_s": statistics.median(works)}
        rows[name] |= {"wall_worst_s": max(walls)}
        told = "  ".join(f"{key} {value:6.2f}" for key, value in rows[name].items())
        print(f"{name:14} {told}")
    told_of = {"at": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    print(json.dumps({"rows": rows, "rounds": asked.rounds, **told_of, "versions": versions()}))


if __name__ == "__main__":
    main()
