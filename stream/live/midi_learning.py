"""MidiLearner: makes a map from what is moved, word by word. `allaprima live --midi-learn`.

A word is learned from the first thing that moves. What was learned last is then ignored until it
has rested for `REST_S`; moving it again after that leaves the next word out.
"""

from collections.abc import Callable
from dataclasses import replace

from stream.live.midi import Move
from stream.live.midi_map import MidiControl, knob
from stream.live.words import NEXT, WORDS, Word

REST_S = 0.7
"""A control that has not moved for so long is at rest."""


class MidiLearner:
    """Learns a map. Belongs to one thread.

    Args:
        ask: Called with each word to be learned.
    """

    def __init__(self, ask: Callable[[Word], None] = lambda word: None) -> None:
        self._ask = ask
        self._words = [word for word in WORDS.values() if word.kind != "text"]
        self._last: tuple[str, int, int] | None = None
        self._moved_s = 0.0
        self.controls: list[MidiControl] = []
        self._ask(self._words[0])

    @property
    def done(self) -> bool:
        """Whether every word has been asked for."""
        return not self._words

    def take(self, move: Move, now_s: float) -> None:
        """Learn from one move, at `now_s` of a monotonic clock."""
        if self.done or (move.trigger == "note" and move.position == 0):
            return
        moved = move.trigger, move.number, move.channel
        is_same = moved == self._last
        has_rested = now_s - self._moved_s >= REST_S
        if is_same:
            self._moved_s = now_s
            if not has_rested:
                return
        word = self._words.pop(0)
        if not is_same:
            self.controls.append(_control(move, word))
            self._last, self._moved_s = moved, now_s
        if self._words:
            self._ask(self._words[0])


def _control(move: Move, word: Word) -> MidiControl:
    control = knob(move.trigger, move.number, word.name, move.channel)
    if word.kind == "name":
        return replace(control, value=NEXT)
    if move.trigger == "note" and word.is_continuous:
        return replace(control, value=word.most)
    return control
