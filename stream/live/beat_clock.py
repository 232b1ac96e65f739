"""BeatClock: which beat it is, by a tempo, by taps of a key, or by MIDI clock.

    tap ×2 or more ──► tempo and phase
    MIDI clock     ──► 24 pulses a beat; start, continue and stop

Thread-safe: a key, a MIDI port and the thread that paints meet here.
"""

import threading
from collections import deque

PULSES_PER_BEAT = 24
"""Of MIDI clock (MIDI 1.0 Detailed Specification, System Real Time Messages)."""

LONGEST_TAP_S = 2.0
"""A tap that comes later than this after the one before begins anew: 30 beats a minute."""

SHORTEST_TAP_S = 0.15
"""Two taps closer than this are one that bounced."""

TAPS = 8
"""Taps that a tempo is the mean of."""

SLOWEST, FASTEST = 20.0, 400.0
"""Beats a minute."""

DEFAULT_TEMPO = 120.0


class BeatClock:
    """Beats since the beginning of a performance.

    Args:
        tempo: Beats a minute, until taps or MIDI clock say otherwise.

    Raises:
        ValueError: The tempo is outside `SLOWEST` to `FASTEST`.
    """

    def __init__(self, tempo: float = DEFAULT_TEMPO) -> None:
        self._lock = threading.Lock()
        self._tempo = checked_tempo(tempo)
        self._beat = 0.0  # at `_at_s`
        self._at_s: float | None = None
        self._taps: deque[float] = deque(maxlen=TAPS)
        self._pulses: deque[float] = deque(maxlen=PULSES_PER_BEAT + 1)
        self._count = 0  # pulses since the start
        self._runs = True

    @property
    def tempo(self) -> float:
        """Beats a minute."""
        with self._lock:
            return self._tempo

    def beat(self, now_s: float) -> float:
        """Which beat it is; the first call is beat 0, unless something began before it."""
        with self._lock:
            if self._at_s is None:
                self._at_s = now_s
            return self._beat_at(now_s)

    def tap(self, now_s: float) -> None:
        """Somebody tapped: this is a beat, and those before it tell the tempo."""
        with self._lock:
            since_s = now_s - self._taps[-1] if self._taps else LONGEST_TAP_S + 1
            if since_s < SHORTEST_TAP_S:
                return
            if since_s > LONGEST_TAP_S:
                self._taps.clear()
            self._taps.append(now_s)
            nearest = float(round(self._beat_at(now_s)))
            if len(self._taps) > 1:
                mean_s = (now_s - self._taps[0]) / (len(self._taps) - 1)
                self._tempo = min(max(60 / mean_s, SLOWEST), FASTEST)
            self._beat, self._at_s, self._runs = nearest, now_s, True

    def pulse(self, now_s: float) -> None:
        """A pulse of MIDI clock."""
        with self._lock:
            if not self._runs:
                return
            if self._pulses and now_s - self._pulses[-1] > LONGEST_TAP_S:
                self._pulses.clear()
            self._count += 1
            if (
                not self._pulses and self._count > 0
            ):  # the clock was away meanwhile, and beats went on
                self._count = max(self._count, round(self._beat_at(now_s) * PULSES_PER_BEAT))
            self._pulses.append(now_s)
            if len(self._pulses) > 1:
                mean_s = (now_s - self._pulses[0]) / (len(self._pulses) - 1)
                if mean_s > 0:
                    tempo = 60 / (mean_s * PULSES_PER_BEAT)
                    self._tempo = min(max(tempo, SLOWEST), FASTEST)
            self._beat, self._at_s = self._count / PULSES_PER_BEAT, now_s

    def start(self, now_s: float) -> None:
        """The sequencer starts: beat 0 is now, or with its first pulse."""
        with self._lock:
            self._beat, self._at_s, self._runs = 0.0, now_s, True
            self._count = -1
            self._pulses.clear()

    def stop(self, now_s: float) -> None:
        """The sequencer stops; beats stand still."""
        with self._lock:
            self._beat, self._at_s, self._runs = self._beat_at(now_s), now_s, False

    def go_on(self, now_s: float) -> None:
        """The sequencer goes on where it stopped."""
        with self._lock:
            self._at_s, self._runs = now_s, True
            self._pulses.clear()

    def _beat_at(self, now_s: float) -> float:
        if self._at_s is None or not self._runs:
            return self._beat
        return self._beat + max(0.0, now_s - self._at_s) * self._tempo / 60


def checked_tempo(tempo: float) -> float:
    """
    Raises:
        ValueError: It is no number of beats a minute.
    """
    is_number = isinstance(tempo, int | float) and not isinstance(tempo, bool)
    if not is_number or not SLOWEST <= tempo <= FASTEST:
        raise ValueError(f"got tempo={tempo!r}, expected {SLOWEST:g} to {FASTEST:g}")
    return float(tempo)
