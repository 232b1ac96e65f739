"""Start-up: from the command to the first picture, with and without what is kept on disk.

    python benchmarks/startup.py [--rounds 5] [--source testsrc]

Fresh processes in turns, each with nothing kept and with a filled cache folder:

    first unpainted   allaprima live into a window, until it has been given a frame as it is
    first painted     the same process, until it says that it paints
    one frame         allaprima restyle of a single frame, from beginning to end

Wall time, and the processor time (user and system, of the process and its children) up to there,
which a busy machine disturbs less: compare that, and the two ways of one round. Without a display
Xvfb's is taken; where there is none, `live` goes to `null`, which is shown nothing unpainted.
Linux. Last line: one JSON object.
"""

import argparse
import json
import os
import pty
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import commit, machine, versions
from readers import display

COMMAND = Path(sys.executable).with_name("allaprima")
SAID = {"first unpainted": b"first unpainted picture", "first painted": b"first painted picture"}
VARIABLE = "ALLAPRIMA_CACHE"
LIMIT_S = 300.0
TIMES = slice(11, 15)
"""User and system ticks, own and of children waited for, after the name in /proc/PID/stat."""

Cost = tuple[float, float]
"""Wall and processor seconds."""


def processor_s(pid: int) -> float:
    """What a process and the children that it waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[TIMES]) / os.sysconf("SC_CLK_TCK")


def live(source: str, output: str, cache: str) -> dict[str, Cost]:
    """What each of the first pictures of one process costs."""
    ours, theirs = pty.openpty()
    arguments = ["live", "--from", source, "--to", output, "--duration", "60", "--debug"]
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {VARIABLE: cache, "COLUMNS": "200"},
    )
    os.close(theirs)
    heard, costs = b"", {}
    try:
        while "first painted" not in costs:
            heard += os.read(ours, 4096)
            now_s = time.perf_counter() - start_s
            for name, words in SAID.items():
                if words in heard and name not in costs:
                    costs[name] = now_s, processor_s(process.pid)
            if now_s > LIMIT_S:
                raise TimeoutError(f"no picture within {LIMIT_S:g} s: {heard.decode()}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        os.close(ours)
    return costs


def restyle(cache: str) -> dict[str, Cost]:
    """What a single frame costs, the whole process."""
    source = "testsrc=size=640x360:rate=24:duration=0.04"
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {VARIABLE: cache}
    command = [COMMAND, "restyle", source, "-o", "null", "--quiet"]
    subprocess.run(command, env=environment, check=True, timeout=LIMIT_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"one frame": (time.perf_counter() - start_s, worked_s)}


def measure(source: str, rounds: int) -> dict[str, dict[str, float]]:
    """Rows of medians and worst, by picture and by what was kept."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as cache, display():
        output = "window" if os.environ.get("DISPLAY") else "null"
        restyle(cache)  # fills the cache, and the system's cache of files
        for _ in range(rounds):
            for way, folder in {"nothing kept": "", "kept on disk": cache}.items():
                for name, cost in (live(source, output, folder) | restyle(folder)).items():
                    costs.setdefault(f"{name}, {way}", []).append(cost)
    rows = {}
    for name, measured in sorted(costs.items()):
        walls_s, works_s = zip(*measured, strict=True)
        rows[name] = {
            "processor_s": statistics.median(works_s),
            "wall_s": statistics.median(walls_s),
            "wall_worst_s": max(walls_s),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", default="testsrc=size=640x360:rate=24:duration=600")
    asked = parser.parse_args()
    rows = measure(asked.source, asked.rounds)
    for name, row in rows.items():
        print(f"{name:30} " + "  ".join(f"{key} {value:6.2f}" for key, value in row.items()))
    told_of = {"at": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    print(json.dumps({"rows": rows, "rounds": asked.rounds, **told_of, "versions": versions()}))


if __name__ == "__main__":
    main()
