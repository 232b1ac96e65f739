"""How the studio serves several people: rate and latency of each, by raw sockets.

    python benchmarks/studio.py [SECONDS [PEOPLE ...]]

Each person sends a clip's frames at 24 a second, drops what is not acknowledged as a page does, and
acknowledges each painting when it is decoded. Latency is from sending a frame to its painting.
"""

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

from studios import FakePage, RunningStudio, jpeg, make_options  # noqa: E402

CLIP = ROOT / "examples" / "clips" / "face.mp4"
SIZE = (512, 288)
RATE = 24
MOST_IN_FLIGHT = 2
WARM_UP_S = 3.0


def frames() -> list[bytes]:
    """The clip as a page would send it."""
    with av.open(str(CLIP)) as clip:
        pictures = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    return [jpeg(cv2.resize(one, SIZE, interpolation=cv2.INTER_AREA)) for one in pictures]


class Person:
    """Somebody's page: sends in one thread, receives in another."""

    def __init__(self, port: int, coded: list[bytes], phase: int) -> None:
        self._page = FakePage(port, max_size=None).hello(size=list(SIZE))
        self._page.until("welcome")
        self._coded, self._phase = coded, phase
        self._sent: dict[int, float] = {}
        self._acknowledged = 0
        self.latencies_s: list[float] = []
        self.counting = False
        self._over = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

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
                    if self.counting:
                        self.latencies_s.append(time.perf_counter() - self._sent[id_])
        except ConnectionClosed:
            return

    def close(self) -> None:
        self._over.set()
        self._threads[0].join()
        self._page.close()
        self._threads[1].join()


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


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    counts = [int(one) for one in sys.argv[2:]] or [1, 2, 3]
    coded = frames()
    with tempfile.TemporaryDirectory() as folder:
        options = make_options(Path(folder), stability=None)
        for people in counts:
            studio = RunningStudio(
                Path(folder), lambda: options.load_engine(None), seats=16, stability=None
            )
            studio.start()
            measure(studio.port, people, seconds, coded)
            studio.stop()


if __name__ == "__main__":
    main()
