"""Schedule: brings the controls of a session, or of a rendering, to where its changes say.

    change ─────────► at its time, at once
    change, "over" ─► travels there: numbers along a curve, prompts mixed by weight

The same for a recorded performance (`automation.py`), a list of styles with times
(`styles_file.py`), live by the clock or by beats, and offline by the frames' times.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from models import parse_prompt
from stream.live.beat_clock import BeatClock
from stream.live.controls import Controls, Look

Ease = Literal["linear", "smooth", "in", "out"]
EASES: tuple[Ease, ...] = get_args(Ease)

TRAVELLING = ("prompt", "strength", "guidance", "image_weight", "stability")
"""Words whose values have something between them."""

SAME_TIME = 0.002
"""Places that differ by no more are the same: Matroska keeps milliseconds."""

RESTART = 0.5
"""A place so much before the last one begins anew; a tempo that is corrected goes back by less."""

WEIGHT_STEPS = 64
"""Prompts are mixed in so many steps, so that slow travels paint with one mixture for a while."""

CURVES: dict[Ease, Callable[[float], float]] = {
    "linear": lambda share: share,
    "smooth": lambda share: share * share * (3 - 2 * share),
    "in": lambda share: share * share,
    "out": lambda share: share * (2 - share),
}
"""Share of the time -> share of the way."""


@dataclass(frozen=True, slots=True)
class Change:
    """Some words that hold from a place on.

    Attributes:
        time_s: The place, in seconds of the source; in beats, where the schedule counts those.
        words: Their values.
        glide: It is one step of many, shown at once.
        over: How long the way there takes, in the same unit; 0 is at once.
        ease: The curve of the way.
    """

    time_s: float
    words: dict[str, Any]
    glide: bool = False
    over: float = 0.0
    ease: Ease = "smooth"


@dataclass(slots=True)
class Travel:
    """One word on its way.

    Attributes:
        given: What it was last; anything else there means that somebody took over.
    """

    start: Any
    target: Any
    change: Change
    given: Any

    def value(self, place: float) -> Any:
        """What it is at a place."""
        share = min(1.0, max(0.0, (place - self.change.time_s) / self.change.over))
        moved = CURVES[self.change.ease](share)
        if share == 1:
            return self.target
        if isinstance(self.start, str):
            return mixed_prompt(self.start, self.target, moved)
        return self.start + (self.target - self.start) * moved

    def is_over(self, place: float) -> bool:
        """Whether it has arrived."""
        return place >= self.change.time_s + self.change.over


def mixed_prompt(start: str, target: str, share: float) -> str:
    """The prompt between two: their parts, by weight; `Engine.encode_prompt` mixes embeddings.

    Args:
        share: How much of `target`, 0 to 1.
    """
    share = round(share * WEIGHT_STEPS) / WEIGHT_STEPS
    weights: dict[str, float] = {}
    for prompt, of_it in ((start, 1 - share), (target, share)):
        for part in parse_prompt(prompt):
            weights[part.text] = weights.get(part.text, 0.0) + part.weight * of_it
    present = {text: weight for text, weight in weights.items() if weight > 1e-4}
    if len(present) < 2:
        return start if share < 0.5 else target
    return " | ".join(f"{text}:{weight:.4f}" for text, weight in present.items())


class Schedule:
    """Plays changes. Belongs to one thread.

    Args:
        changes: In order.
        fixed: Words that are left as they are.
    """

    def __init__(self, changes: Sequence[Change], fixed: Collection[str] = ()) -> None:
        self._changes = changes
        self._fixed = frozenset(fixed)
        self._next = 0
        self._travels: dict[str, Travel] = {}
        self._place = 0.0

    def play(self, controls: Controls, place: float) -> bool:
        """Bring the controls to a place; whether something jumped there.

        A place before the last one begins the schedule anew: the music has started again.
        """
        if place < self._place - RESTART:
            self._next, self._travels = 0, {}
        else:
            place = max(place, self._place)
        self._place = place
        jumped = False
        while self._next < len(self._changes):
            change = self._changes[self._next]
            if change.time_s > place + SAME_TIME:
                break
            self._next += 1
            # from where the ways before it have come by then, whatever frames there were
            self._move(controls, change.time_s)
            jumped |= self._begin(controls, change)
        self._move(controls, place)
        return jumped

    def _begin(self, controls: Controls, change: Change) -> bool:
        words = {word: one for word, one in change.words.items() if word not in self._fixed}
        self._travels = {k: travel for k, travel in self._travels.items() if k not in words}
        if change.over > 0:
            for word, target in words.items():
                start = controls.value_of(word)
                self._travels[word] = Travel(start, target, change, start)
            return False
        if change.glide:
            controls.follow(words)
        elif words:
            controls.change(words)
        return bool(words) and not change.glide

    def _move(self, controls: Controls, place: float) -> None:
        for word, travel in list(self._travels.items()):
            if controls.value_of(word) != travel.given:  # somebody else has turned it
                del self._travels[word]
                continue
            value = travel.value(place)
            if value != travel.given:
                controls.follow({word: value})
                travel.given = controls.value_of(word)
            if travel.is_over(place):
                del self._travels[word]


class LiveSchedule:
    """Plays a schedule in a live session, by the source's time or by beats. Belongs to the thread
    that paints.

    Args:
        beats: Counts beats, where the schedule does; ``None`` goes by time.
    """

    def __init__(self, changes: Sequence[Change], beats: BeatClock | None = None) -> None:
        self._schedule = Schedule(changes)
        self._beats = beats

    def play(self, controls: Controls, time_s: float, now_s: float) -> None:
        """Bring the controls to where a frame is.

        Args:
            time_s: Its time in the session.
            now_s: When it was captured, by the clock.
        """
        place = time_s if self._beats is None else self._beats.beat(now_s)
        self._schedule.play(controls, place)


class Performance:
    """Gives each frame of a source the look that its changes say. Belongs to one thread.

    Args:
        changes: In order of time.
        look: What holds of words that have not been set.
        fixed: Words that stay as they are in `look`.
    """

    def __init__(self, changes: Sequence[Change], look: Look, fixed: Collection[str] = ()) -> None:
        self._controls = Controls(look)
        self._schedule = Schedule(changes, fixed)

    def look_at(self, time_s: float) -> Look:
        """The look of the frame of this time; times must not go back."""
        jumped = self._schedule.play(self._controls, time_s)
        return replace(self._controls.look, gliding=not jumped)
