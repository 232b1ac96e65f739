"""How the studio serves several people: rate and latency of each, by raw sockets.

    python benchmarks/studio.py [SECONDS [PEOPLE ...]]
    python benchmarks/studio.py --soak MINUTES

Each person sends a clip's frames at 24 a second, drops what is not acknowledged as a page does, and
acknowledges each painting when it is decoded. Latency is from sending a frame to its painting.
The soak has a live page, a canvas that is drawn on, and a page that comes anew every 20 seconds; it
prints memory, threads and open handles of the whole process.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from studios import FakePage, RunningStudio, jpeg, make_options, plain  # noqa: E402

CLIP = ROOT / "examples" / "clips" / "face.mp4"
SIZE = (512, 288)
RATE = 24
MOST_IN_FLIGHT = 2
WARM_UP_S = 3.0
RECONNECT_S = 20.0
PATCH_EVERY_S = 0.5


def frames() -> list[bytes]:
    """The clip as a page would send it."""
    with av.open(str(CLIP)) as clip:
        pictures = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    return [jpeg(cv2.resize(one, SIZE, interpolation=cv2.INTER_AREA)) for one in pictures]


class Visitor:
    """A page of somebody's: sends in one thread, receives in another."""

    def __init__(self, page: FakePage) -> None:
        self._page = page
        self._page.until("welcome")
        self._over = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._send, self._receive)]

    def _send(self) -> None:
        raise NotImplementedError

    def _receive(self) -> None:
        raise NotImplementedError

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._over.set()
        self._threads[0].join()
        self._page.close()
        self._threads[1].join()


class Person(Visitor):
    """Somebody before a camera."""

    def __init__(self, port: int, coded: list[bytes], phase: int) -> None:
        super().__init__(FakePage(port, max_size=None).hello(size=list(SIZE)))
        self._coded, self._phase = coded, phase
        self._sent: dict[int, float] = {}
        self._acknowledged = 0
        self.latencies_s: list[float] = []
        self.counting = False
        self._start()

    def _send(self) -> None:
        from stream.studio.protocol import Kind, Packet, write_packet

        number, count, due_s = 0, self._phase, time.perf_counter()
        while not self._over.is_set():
            due_s += 1 / RATE
            time.sleep(max(0.0, due_s - time.perf_counter()))
            count += 1
            if number - self._acknowledged >= MOST_IN_FLIGHT:
                continue
            number += 1
            self._sent[number] = time.perf_counter()
            picture = self._coded[count % len(self._coded)]
            self._page.socket.send(write_packet(Packet(Kind.JPEG, number, picture)))

    def _receive(self) -> None:
        try:
            while True:
                message = self._page.next()
                if message is not None and "ack" in message:
                    self._acknowledged = message["ack"]
                elif message is None and self._page.paintings:
                    id_, _, _ = self._page.paintings.pop()
                    self._page.paintings.clear()
                    sent_s = self._sent.pop(id_, None)
                    if self.counting and sent_s is not None:
                        self.latencies_s.append(time.perf_counter() - sent_s)
                self._page.heard.clear()
        except ConnectionClosed:
            return


def measure(port: int, people: int, seconds: float, coded: list[bytes]) -> None:
    persons = [Person(port, coded, 7 * index) for index in range(people)]
    time.sleep(WARM_UP_S)
    for person in persons:
        person.counting = True
    time.sleep(seconds)
    for person in persons:
        person.counting = False
    for person in persons:
        person.close()
    rates = [len(person.latencies_s) / seconds for person in persons]
    latencies_ms = np.array([s for person in persons for s in person.latencies_s]) * 1e3
    p50, p95 = np.percentile(latencies_ms, (50, 95)) if len(latencies_ms) else (0.0, 0.0)
    told = " ".join(f"{rate:.1f}" for rate in rates)
    print(f"{people} people: {told} fps, {p50:.0f} ms at p50, {p95:.0f} ms at p95", flush=True)


class Painter(Visitor):
    """Somebody's canvas: a patch twice a second, and what is painted of it."""

    def __init__(self, port: int) -> None:
        super().__init__(FakePage(port, max_size=None).hello("canvas", size=[256, 256]))
        self._start()

    def _send(self) -> None:
        number = 0
        self._page.send_patch(number, plain((250, 247, 240), (256, 256)), (0, 0))
        while not self._over.wait(PATCH_EVERY_S):
            number += 1
            colour = (40 * number % 256, 90, 200 - 20 * number % 200)
            self._page.send_patch(number, plain(colour, (64, 64)), (16 * number % 192, 96))

    def _receive(self) -> None:
        try:
            while True:
                self._page.next()
                self._page.paintings.clear()
                self._page.heard.clear()
        except ConnectionClosed:
            return


def resources() -> tuple[float, int, int]:
    """Memory in MiB, threads and open handles of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    handles = len(os.listdir("/proc/self/fd"))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threading.active_count(), handles


def soak(port: int, minutes: float, coded: list[bytes]) -> None:
    started_s = time.perf_counter()
    person, painter = Person(port, coded, 0), Painter(port)
    while time.perf_counter() - started_s < 60 * minutes:
        visitor = Person(port, coded, 5)
        time.sleep(RECONNECT_S)
        memory, threads, handles = resources()
        visitor.close()
        at_s = time.perf_counter() - started_s
        told = f"{memory:.0f} MiB, {threads} threads, {handles} handles"
        print(f"{at_s:.0f} s: {told}", flush=True)
    painter.close()
    person.close()


def main() -> None:
    is_soak = sys.argv[1:2] == ["--soak"]
    if is_soak:
        del sys.argv[1]
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    counts = [int(one) for one in sys.argv[2:]] or [1, 2, 3]
    coded = frames()
    with tempfile.TemporaryDirectory() as folder:
        options = make_options(Path(folder), stability=None)
        for people in [1] if is_soak else counts:
            studio = RunningStudio(
                Path(folder), lambda: options.load_engine(None), seats=16, stability=None
            )
            studio.start()
            if is_soak:
                soak(studio.port, seconds, coded)
            else:
                measure(studio.port, people, seconds, coded)
            studio.stop()


if __name__ == "__main__":
    main()
