"""Real NDI in a network: our sink is received by cyndilib and by our source, with opacity, sound.

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
from stream.media.sound import SOUND_RATE, Sound
from stream.sinks.ndi import NdiSink
from stream.sources.ndi import NdiSource
from stream.sources.other_programs import program_devices
from stream.sources.reconnecting import ReconnectingSource
from stream.stats import Stats

RATE = Fraction(24)
SIZE = 320, 180
LIMIT_S = 60.0
TONE_HZ, AMPLITUDE, OPACITY = 440, 0.25, 128


def picture(number: int) -> np.ndarray:
    """Red above, blue below, and a bar that moves."""
    data = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    data[:90] = (200, 30, 40)
    data[90:] = (20, 60, 210)
    data[:, number % SIZE[0]] = 255
    return data


def tone(number: int) -> Sound:
    """What sounds in one frame: a tone on the left, its negative on the right."""
    begin = number * SOUND_RATE // 24
    places = np.arange(begin, begin + SOUND_RATE // 24)
    wave = np.sin(2 * np.pi * TONE_HZ * places / SOUND_RATE) * AMPLITUDE * 32_767
    return Sound(np.stack([wave, -wave], axis=1).astype(np.int16), begin)


class Sending:
    """Sends pictures until it is left, by our sink, in a thread of its own."""

    def __enter__(self) -> "Sending":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        number = 0
        alpha = np.full((SIZE[1], SIZE[0]), 255, np.uint8)
        alpha[:, : SIZE[0] // 4] = OPACITY
        with NdiSink("painted", rate=RATE, sound=True) as sink:
            while not self._over.wait(1 / 24):
                sink.write(Frame(picture(number), number, 1 / RATE, alpha=alpha))
                sink.hear(tone(number))
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
    opaque = data[:, 100:]
    above, below = (np.median(half.reshape(-1, 3), axis=0) for half in (opaque[:80], opaque[100:]))
    error = max(np.abs(above - (200, 30, 40)).max(), np.abs(below - (20, 60, 210)).max())
    sys.stdout.write(f"{what}: greatest difference {error:.0f} of 255\n")
    if error > 12:
        raise SystemExit(1)


def check_more(frame: Frame, heard: list[Sound]) -> None:
    """Opacity and sound are those that were sent."""
    assert frame.alpha is not None
    error = int(np.abs(np.median(frame.alpha[:, :60], axis=0) - OPACITY).max())
    sys.stdout.write(f"opacity: greatest difference {error} of 255\n")
    samples = np.concatenate([one.samples for one in heard]).astype(float) / 32_767
    left, right = samples.T
    loud = np.sqrt(2 * np.mean(left**2))
    crossings = np.sum((left[:-1] < 0) & (left[1:] >= 0)) / (len(left) / SOUND_RATE)
    sys.stdout.write(
        f"sound: {len(left) / SOUND_RATE:.2f} s, amplitude {loud:.3f}, {crossings:.0f} Hz, "
        f"left and right differ from opposites by {np.abs(left + right).max():.4f}\n"
    )
    if error > 8 or abs(loud - AMPLITUDE) > 0.03 or abs(crossings - TONE_HZ) > 20:
        raise SystemExit(1)
    if np.abs(left + right).max() > 0.02:
        raise SystemExit(1)


def main() -> None:
    with Sending():
        check("sink to cyndilib", received_by_cyndilib())
        listed = [one for one in program_devices() if one.driver == LIBRARIES["ndi"].title]
        sys.stdout.write(f"listed: {[one.path for one in listed]}\n")
        assert any("painted" in one.path for one in listed)
        # as live reads it: a machine that is busy elsewhere may pause longer than a program may
        with ReconnectingSource(
            lambda: NdiSource("painted", sound=True), "ndi:painted", clock=Clock(), stats=Stats()
        ) as source:
            frames, heard = [], []
            for _ in range(48):
                frames.append(source.read())
                heard += source.sounds()
        times = [frame.time_s for frame in frames if frame is not None]
        assert len(times) == 48
        assert frames[-1] is not None
        check("sink to source", frames[-1].data)
        check_more(frames[-1], heard)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
