"""ReconnectingSource: opens a camera or stream again when it is lost, as one endless source.

    reading ──lost──► waiting (0.1, 0.2, 0.4, then every 0.8 s: open again) ──opened──► reading

While it is away, the last picture or a card is repeated a few times a second, so that viewers keep
a picture and no meeting application or server closes the connection. Where opening may block, it is
done in another thread meanwhile. Every frame has the size of the first; pictures of another size
are fitted in.
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

HOLD_INTERVAL_S = 0.2
"""How often the last picture is given again."""

CARD_RGB = (32, 32, 36)
CARD_TEXT = "reconnecting ..."
CARD_TEXT_RGB = (220, 220, 220)


def at_once(step: Callable[[], None]) -> None:
    """Take a step here and now."""
    step()


class Attempt:
    """Opens a source and reads its first frame, in whatever thread; both may take long."""

    def __init__(self, open_inner: Callable[[], Source]) -> None:
        self._open_inner = open_inner
        self._lock = threading.Lock()
        self._is_given_up = self._is_read = False
        self._opened: Source | None = None
        self._frame: Frame | None = None
        self.is_done = False

    def run(self) -> None:
        """Open and read, once."""
        try:
            inner = self._open_inner()
            with self._lock:
                self._opened = inner
            try:
                self._frame = None if self._is_given_up else inner.read()
            finally:
                self._keep_or_close(inner)
        except SourceError as err:
            logger.debug("not yet: %s", err)
        finally:
            self.is_done = True

    def _keep_or_close(self, inner: Source) -> None:
        with self._lock:
            is_wanted = self._frame is not None and not self._is_given_up
            self._opened = inner if is_wanted else None
            self._is_read = True
        if not is_wanted:
            inner.close()

    def take(self) -> tuple[Source, Frame] | None:
        """Once it is done: what was opened and its first frame; ``None`` where it failed."""
        with self._lock:
            inner, self._opened = self._opened, None
        return None if inner is None or self._frame is None else (inner, self._frame)

    def give_up(self) -> None:
        """Nobody will take the result: it is closed, now or when it is there."""
        with self._lock:
            self._is_given_up = True
            inner, self._opened = self._opened, None
            is_read = self._is_read
        if inner is not None and is_read:
            inner.close()
        elif inner is not None:
            inner.interrupt()


class ReconnectingSource(Source):
    """Gives the frames of whatever `open_inner` opens, again and again. Not thread-safe, but for
    `interrupt`.

    Args:
        open_inner: Opens the device; its SourceError at the first call is passed on.
        name: What the user calls it.
        on_loss: What is shown while it is away.
        stats: Where losses and returns are counted.
        aside: Runs the step that opens it again, perhaps in another thread; may return before the
            step has ended.

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
        aside: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        self._aside = aside
        self._attempt: Attempt | None = None
        self._open_inner = open_inner
        self._name = name
        self._clock = clock
        self._stats = stats
        self._on_loss = on_loss
        self._stopped = threading.Event()
        self.notes: list[str] = []
        inner = open_inner()
        self._inner: Source | None = inner
        self._last: Frame | None = None
        self._delay_s = FIRST_DELAY_S
        self._next_try_s = 0.0
        self._lost_at_s: float | None = None
        self.info = inner.info
        self.has_sound = inner.has_sound
        self._tell(inner)

    def read(self) -> Frame | None:
        """The next frame; ``None`` only after `interrupt`."""
        while not self._stopped.is_set():
            frame = self._read_inner() if self._inner is not None else self._read_away()
            if frame is not None:
                self._last = frame
                return frame
        return None

    def _read_inner(self) -> Frame | None:
        inner = self._inner
        assert inner is not None
        try:
            frame = inner.read()
        except SourceError as err:
            self._lose(inner, str(err))
            return None
        if frame is None:
            if not self._stopped.is_set():
                self._lose(inner, f"{self._name} ended.")
            return None
        self._tell(inner)
        return frame.replace(fit(frame.data, self.info.size))

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

    def _found(self, lost_at_s: float) -> None:
        away_s = self._clock.now_s() - lost_at_s
        logger.warning("%s is back after %.1f s.", self._name, away_s)
        self._stats.count_event("source back")
        self._delay_s, self._lost_at_s = FIRST_DELAY_S, None

    def _read_away(self) -> Frame | None:
        """Try when it is time; until that has come to something, wait a little and give the still
        picture.
        """
        wait_s = self._next_try_s - self._clock.now_s()
        if self._attempt is None and wait_s <= 0:
            self._attempt = Attempt(self._open_inner)
            self._aside(self._attempt.run)
        if self._attempt is not None and self._attempt.is_done:
            attempt, self._attempt = self._attempt, None
            return self._resumed(attempt)
        until_s = wait_s if self._attempt is None else HOLD_INTERVAL_S
        self._clock.wait(self._stopped, min(HOLD_INTERVAL_S, until_s))
        return None if self._last is None or self._stopped.is_set() else self._still(self._last)

    def _resumed(self, attempt: Attempt) -> Frame | None:
        taken = attempt.take()
        if taken is None:
            self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
            self._next_try_s = self._clock.now_s() + self._delay_s
            return None
        self._inner, frame = taken
        if self._lost_at_s is not None:
            self._found(self._lost_at_s)
        self._tell(self._inner)
        return frame.replace(fit(frame.data, self.info.size))

    def _still(self, last: Frame) -> Frame:
        if self._on_loss == "hold":
            return last
        return last.replace(card(self.info.size, CARD_TEXT))

    def sounds(self) -> list[Sound]:
        return [] if self._inner is None else self._inner.sounds()

    def interrupt(self) -> None:
        self._stopped.set()
        inner, attempt = self._inner, self._attempt
        if inner is not None:
            inner.interrupt()
        if attempt is not None:
            attempt.give_up()

    def close(self) -> None:
        if self._attempt is not None:
            self._attempt.give_up()
            self._attempt = None
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
