"""Real NDI in a network: our sink is received by cyndilib and by our source.

Run by tests/devices/ndi.sh. Prints a line a check; exit code 1 if one fails.
"""

import sys
import threading
import time
from fractions import Fraction

import cyndilib
import numpy as np

from stream.clock import Clock
from stream.frame import Frame
from stream.media.other_programs import LIBRARIES
from stream.sinks.ndi import NdiSink
from stream.sources.ndi import NdiSource
from stream.sources.other_programs import program_devices
from stream.sources.reconnecting import ReconnectingSource
from stream.stats import Stats

RATE = Fraction(24)
SIZE = 320, 180
LIMIT_S = 60.0


def picture(number: int) -> np.ndarray:
    """Red above, blue below, and a bar that moves."""
    data = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    data[:90] = (200, 30, 40)
    data[90:] = (20, 60, 210)
    data[:, number % SIZE[0]] = 255
    return data


class Sending:
    """Sends pictures until it is left, by our sink, in a thread of its own."""

    def __enter__(self) -> "Sending":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        number = 0
        with NdiSink("painted", rate=RATE) as sink:
            while not self._over.wait(1 / 24):
                sink.write(Frame(picture(number), number, 1 / RATE))
                number += 1

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def received_by_cyndilib() -> np.ndarray:
    """One picture, by the library's own receiver."""
    end_s = time.monotonic() + LIMIT_S
    with cyndilib.Finder() as finder:
        names: list[str] = []
        while not names and time.monotonic() < end_s:
            finder.wait(1.0)
            names = [name for name in finder.get_source_names() if "painted" in name]
        sync = cyndilib.VideoFrameSync()
        receiver = cyndilib.Receiver(color_format=cyndilib.RecvColorFormat.RGBX_RGBA)
        receiver.frame_sync.set_video_frame(sync)
        receiver.set_source(finder.get_source(names[0]))
        while time.monotonic() < end_s:
            receiver.frame_sync.capture_video()
            if sync.get_resolution() == SIZE:
                return sync.get_array().reshape(SIZE[1], SIZE[0], 4)[..., :3].copy()
            time.sleep(0.05)
    raise SystemExit("nothing was received")


def check(what: str, data: np.ndarray) -> None:
    """The colours are those that were sent, but for NDI's compression."""
    above, below = (np.median(half.reshape(-1, 3), axis=0) for half in (data[:80], data[100:]))
    error = max(np.abs(above - (200, 30, 40)).max(), np.abs(below - (20, 60, 210)).max())
    sys.stdout.write(f"{what}: greatest difference {error:.0f} of 255\n")
    if error > 12:
        raise SystemExit(1)


def main() -> None:
    with Sending():
        check("sink to cyndilib", received_by_cyndilib())
        listed = [one for one in program_devices() if one.driver == LIBRARIES["ndi"].title]
        sys.stdout.write(f"listed: {[one.path for one in listed]}\n")
        assert any("painted" in one.path for one in listed)
        # as live reads it: a machine that is busy elsewhere may pause longer than a program may
        with ReconnectingSource(
            lambda: NdiSource("painted"), "ndi:painted", clock=Clock(), stats=Stats()
        ) as source:
            frames = [source.read() for _ in range(48)]
        times = [frame.time_s for frame in frames if frame is not None]
        assert len(times) == 48
        assert frames[-1] is not None
        check("sink to source", frames[-1].data)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
