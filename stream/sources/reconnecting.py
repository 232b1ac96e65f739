"""ReconnectingSource: opens a camera or stream again when it is lost, as one endless source.

    reading ──lost──► waiting (0.1, 0.2, 0.4, then every 0.8 s: open again) ──opened──► reading

Lost is what raised `SourceError`, each source after its own limit (`STALL_S`), or ended without
being of those that end. While it is away `read` waits, and so it does where a device hangs;
`SteadySource` repeats the last picture, or the card that is given here, for as long. Every frame
has the size of the first; pictures of another size are fitted in.
"""

import logging
import threading
from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.clock import Clock
from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.geometry import fit
from stream.media.sound import Sound
from stream.sources.base import Source
from stream.stats import Stats

logger = logging.getLogger(__name__)

OnLoss = Literal["hold", "card"]

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 0.8
"""Longer than this nobody waits for a device that is back."""

CARD_RGB = (32, 32, 36)
CARD_TEXT = "reconnecting ..."
CARD_TEXT_RGB = (220, 220, 220)


class ReconnectingSource(Source):
    """Gives the frames of whatever `open_inner` opens, again and again. Not thread-safe, but for
    `interrupt`.

    Args:
        open_inner: Opens the device; its SourceError at the first call is passed on.
        name: What the user calls it.
        on_loss: What is shown while it is away: the last picture (nothing comes from here), or a
            card, which comes once.
        loop: What ends by itself (a file on a server) is opened again too.
        stats: Where losses and returns are counted.

    Raises:
        SourceError: It cannot be opened at the start.
    """

    def __init__(
        self,
        open_inner: Callable[[], Source],
        name: str,
        *,
        clock: Clock,
        stats: Stats,
        on_loss: OnLoss = "hold",
        loop: bool = False,
    ) -> None:
        self._open_inner = open_inner
        self._name = name
        self._clock = clock
        self._stats = stats
        self._on_loss = on_loss
        self._loop = loop
        self._stopped = threading.Event()
        self.notes: list[str] = []
        inner = open_inner()
        self._inner: Source | None = inner
        self._last: Frame | None = None
        self._delay_s = FIRST_DELAY_S
        self._next_try_s = 0.0
        self._lost_at_s: float | None = None
        self._shows_card = False
        self.info = inner.info
        self.has_sound = inner.has_sound
        self.can_wait = inner.can_wait
        self._tell(inner)

    def read(self) -> Frame | None:
        """The next frame; ``None`` only after `interrupt`, or where the source ends by itself."""
        while not self._stopped.is_set():
            inner = self._inner
            frame = self._read_away() if inner is None else self._read_inner(inner)
            if frame is not None:
                return frame
            if inner is not None and inner is self._inner:
                break  # it has ended
        return None

    def _read_inner(self, inner: Source) -> Frame | None:
        try:
            frame = inner.read()
        except SourceError as err:
            self._lose(inner, str(err))
            return None
        if frame is not None:
            return self._fitted(inner, frame)
        if not (self._stopped.is_set() or (inner.ends and not self._loop)):
            self._lose(inner, f"{self._name} ended.")
        return None

    def _fitted(self, inner: Source, frame: Frame) -> Frame:
        self._tell(inner)
        self._last = frame.replace(fit(frame.data, self.info.size))
        return self._last

    def _tell(self, inner: Source) -> None:
        """Pass on what the device does otherwise than asked, once."""
        for note in inner.notes:
            if note not in self.notes:
                self.notes.append(note)
                logger.warning("%s", note)

    def _lose(self, inner: Source, reason: str) -> None:
        inner.close()
        self._inner = None
        if self._lost_at_s is None:
            self._lost_at_s = self._clock.now_s()
            self._stats.count_event("source lost")
            logger.warning("%s Trying again until it is back.", reason)
        self._next_try_s = self._clock.now_s() + self._delay_s

    def _found(self) -> None:
        away_s = self._clock.now_s() - (self._lost_at_s or 0.0)
        logger.warning("%s is back after %.1f s.", self._name, away_s)
        self._stats.count_event("source back")
        self._delay_s, self._lost_at_s, self._shows_card = FIRST_DELAY_S, None, False

    def _read_away(self) -> Frame | None:
        """The card, if it is due; else wait until it is time, and try."""
        if self._on_loss == "card" and self._last is not None and not self._shows_card:
            self._shows_card = True
            return self._last.replace(card(self.info.size, CARD_TEXT), as_is=True)
        if self._clock.wait(self._stopped, self._next_try_s - self._clock.now_s()):
            return None
        try:
            inner = self._open_inner()
        except SourceError as err:
            self._not_yet(err)
            return None
        return self._read_first(inner)

    def _read_first(self, inner: Source) -> Frame | None:
        """The first frame of what was opened again."""
        self._inner = inner
        if self._stopped.is_set():
            return None
        try:
            frame = inner.read()
            if frame is None:
                raise SourceError(f"{self._name} ended.")
        except SourceError as err:
            inner.close()
            self._inner = None
            self._not_yet(err)
            return None
        self._found()
        return self._fitted(inner, frame)

    def _not_yet(self, err: SourceError) -> None:
        logger.debug("not yet: %s", err)
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        self._next_try_s = self._clock.now_s() + self._delay_s

    def sounds(self) -> list[Sound]:
        return [] if self._inner is None else self._inner.sounds()

    def interrupt(self) -> None:
        self._stopped.set()
        inner = self._inner
        if inner is not None:
            inner.interrupt()

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
            self._inner = None


def card(size: Size, text: str) -> NDArray[np.uint8]:
    """A plain dark picture with one line of text in its middle."""
    width, height = size
    data = np.full((height, width, 3), CARD_RGB, np.uint8)
    scale = width / 640
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    place = (width - text_width) // 2, (height + text_height) // 2
    cv2.putText(data, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, CARD_TEXT_RGB, 1, cv2.LINE_AA)
    return data
