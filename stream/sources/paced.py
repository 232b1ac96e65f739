"""PacedSource: plays a file in real time, as a camera would, once or in a loop."""

import threading
from collections.abc import Callable

from stream.clock import Clock, Pacer
from stream.frame import Frame
from stream.media.sound import Sound
from stream.sources.base import Source
from stream.sources.sound_decoding import FileSound, has_sound


class PacedSource(Source):
    """Gives each frame when it is due. Not thread-safe, but for `interrupt`.

    Time goes on from round to round: the first frame of the next is due when the last one's
    duration is over, and so is its sound.

    Args:
        open_inner: Opens the file; called again for each round.
        loop: Start anew at the end.
        sound: Give the file's sound too, if it has any.

    Raises:
        SourceError: The file cannot be opened.
    """

    can_wait = True

    def __init__(
        self,
        open_inner: Callable[[], Source],
        *,
        clock: Clock,
        loop: bool = False,
        sound: bool = False,
    ) -> None:
        self._open_inner = open_inner
        self._clock = clock
        self._loop = loop
        self._stopped = threading.Event()
        self._pacer = Pacer()
        self._inner = open_inner()
        self._last: Frame | None = None
        self._started = False
        self._shift = 0
        self._heard: list[Sound] = []
        self.info = self._inner.info
        self.notes: list[str] = self._inner.notes
        self.has_sound = sound and self.info.path is not None and has_sound(self.info.path)
        self._sound = self._open_sound()

    def read(self) -> Frame | None:
        self._start()
        frame = None if self._stopped.is_set() else self._inner.read()
        if frame is None and self._loop and self._last is not None and not self._stopped.is_set():
            self._rewind(self._last)
            frame = self._inner.read()
        if frame is None:
            return None
        frame = frame.replace(frame.data, pts=frame.pts + self._shift)
        self._last = frame
        delay_s = self._pacer.delay_s(frame.time_s, self._clock.now_s())
        if self._clock.wait(self._stopped, delay_s):
            return None
        self._hear(_end_s(frame))
        return frame

    def _start(self) -> None:
        """The time begins when the second frame is asked for: until then a model may be loading."""
        if self._last is not None and not self._started:
            self._started = True
            self._pacer.reset()
            self._pacer.delay_s(self._last.time_s, self._clock.now_s())

    def sounds(self) -> list[Sound]:
        heard, self._heard = self._heard, []
        return heard

    def _hear(self, until_s: float) -> None:
        if self._sound is not None:
            self._heard += self._sound.until(until_s)

    def _open_sound(self) -> FileSound | None:
        if not self.has_sound or self.info.path is None:
            return None
        return FileSound(self.info.path, float(self._shift * self.info.time_base))

    def _rewind(self, last: Frame) -> None:
        """Back to the beginning: from now on all is as much later as the file is long."""
        self.close()
        self._inner = self._open_inner()
        start = round(self.info.start_s / self.info.time_base)
        self._shift = last.pts + (last.duration or 1) - start
        self._last = None
        self._sound = self._open_sound()

    def interrupt(self) -> None:
        self._stopped.set()
        self._inner.interrupt()

    def close(self) -> None:
        self._inner.close()
        if self._sound is not None:
            self._sound.close()


def _end_s(frame: Frame) -> float:
    return float((frame.pts + (frame.duration or 0)) * frame.time_base)
