"""How the studio feels in a real Chromium: first picture, camera to painting, stroke to painting.

    python benchmarks/studio_browser.py [SECONDS]

One person, the bundled model, a clip for a camera. Times are the page's own: from the click to the
first painting, from a camera's frame to its painting, and from the first event of a stroke that has
not been sent to the painting that has it. Shares are of one core, by processor time.
"""

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsers import Tab, chromium  # noqa: E402
from studio_screenshots import write_camera  # noqa: E402
from studios import RunningStudio, make_options  # noqa: E402

STARTS = 5
STROKES = 30
WARM_UP_S = 6.0
CLICK = """() => new Promise((done) => {
  const start = performance.now();
  const look = () => window.studio.live.hasPainting
    ? done(performance.now() - start) : requestAnimationFrame(look);
  [...document.querySelectorAll('button')].find((b) => b.innerText === 'Start the camera').click();
  look();
})"""


def processor_s(pids: list[int]) -> float:
    """Processor time of processes that are there."""
    found = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def browser_pids() -> list[int]:
    """The processes of the browser that this process started."""
    parents: dict[int, int] = {}
    names: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                names[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")[0]
                parents[int(entry.name)] = int(fields[1])
    found = []
    for pid, name in names.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid() and b"chrom" in name:
            found.append(pid)
    return found


def told(values_ms: list[float]) -> str:
    p50, p95 = np.percentile(values_ms, (50, 95))
    return f"{p50:.0f} ms at p50, {p95:.0f} ms at p95 of {len(values_ms)}"


def measure_starts(browser: Any, root: str) -> None:
    times_ms = []
    for _ in range(STARTS):
        tab = Tab(browser)
        tab.page.goto(root)
        tab.wait_for_text("Start the camera")
        times_ms.append(tab.page.evaluate(CLICK))
        tab.close()
    listed = " ".join(f"{ms:.0f}" for ms in times_ms)
    print(f"click to first painting: {listed} ms", flush=True)


def measure_live(browser: Any, root: str, seconds: float) -> None:
    tab = Tab(browser)
    tab.page.goto(root)
    tab.wait_for_text("Start the camera")
    tab.page.evaluate(CLICK)
    tab.page.wait_for_timeout(1000 * WARM_UP_S)
    pids = browser_pids()
    start_s, own_s, browser_s = time.perf_counter(), time.process_time(), processor_s(pids)
    figures = []
    while time.perf_counter() - start_s < seconds:
        tab.page.wait_for_timeout(1000)
        figures.append(tab.page.evaluate("window.studio.live.figures"))
    span_s = time.perf_counter() - start_s
    own, other = time.process_time() - own_s, processor_s(pids) - browser_s
    fps = [one["fps"] for one in figures]
    p50, p95 = (np.median([one[word] for one in figures]) for word in ("latencyMs", "p95Ms"))
    effort = tab.page.evaluate("document.getElementById('live-note').textContent")
    print(f"live: {np.mean(fps):.1f} fps, {p50:.0f} ms at p50, {p95:.0f} ms at p95. {effort}")
    print(f"  studio {100 * own / span_s:.0f} % of a core, browser {100 * other / span_s:.0f} %")
    tab.close()


def measure_canvas(browser: Any, root: str) -> None:
    tab = Tab(browser)
    tab.page.goto(f"{root}#canvas")
    tab.wait("window.studio?.canvas.connection?.seated")
    tab.draw((0.2, 0.2), (0.8, 0.2))
    tab.wait("window.studio.canvas.isAtRest")
    tab.page.evaluate("window.studio.canvas.latenciesMs.length = 0")
    random = np.random.default_rng(0)
    for _ in range(STROKES):
        way = np.cumsum(random.uniform(-0.05, 0.05, (24, 2)), axis=0) + random.uniform(0.2, 0.8, 2)
        tab.draw(*[(float(x), float(y)) for x, y in np.clip(way, 0, 1)])
        tab.page.wait_for_timeout(250)
    tab.wait("window.studio.canvas.isAtRest")
    print(f"stroke to painting: {told(tab.page.evaluate('window.studio.canvas.latenciesMs'))}")
    tab.close()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.y4m"
        write_camera(camera)
        options = make_options(Path(folder))
        studio = RunningStudio(
            Path(folder), lambda: options.load_engine(None), seats=16, stability=None
        )
        studio.start()
        root = f"http://127.0.0.1:{studio.port}/"
        with chromium(camera) as browser:
            measure_starts(browser, root)
            measure_canvas(browser, root)
            measure_live(browser, root, seconds)
        studio.stop()


if __name__ == "__main__":
    main()
