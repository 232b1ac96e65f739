"""PerformedStylizer: renders a recorded performance from a file, at any size and quality.

    frame ─► look of its time ─► Stylizer ─► cross-fade ─► split, freeze, bypass ─► frame

As the live session shows it, but by the frames' own times, so that two renderings are the same.
Used by `stream.offline` in place of a `Stylizer`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from models import Style
from stream.frame import Frame
from stream.live.controls import Look
from stream.live.cross_fade import CrossFade
from stream.live.live_stylizer import STALE_S
from stream.live.motion_carry import Reference, make_reference
from stream.live.presenter import Data, compose
from stream.live.schedule import SAME_TIME, Change, Performance
from stream.stylizer.masks import PERSON
from stream.stylizer.output_frames import Painted
from stream.stylizer.regions import make_region
from stream.stylizer.stylizer import DEFAULT_STABILITY, Stylizer

if TYPE_CHECKING:
    from models import Engine

FOREVER_S = 1e9
"""Longer than any film."""


@dataclass(frozen=True, slots=True)
class RecordedPerformance:
    """A performance to be rendered: `stream.offline.performance.Performance`.

    Attributes:
        changes: In order of time.
        fixed: Words that stay as the options say.
    """

    changes: tuple[Change, ...]
    fixed: tuple[str, ...] = ()

    def make_stylizer(self, *args: Any, **options: Any) -> Stylizer:
        """A stylizer that follows it."""
        return PerformedStylizer(*args, changes=self.changes, fixed=self.fixed, **options)

    def closed(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Stretches in which a cross-fade may run or a picture stands still.

        A fade begins at the first frame that is painted after a change, unless the painting before
        is stale; so it ends so much later at most.
        """
        look = Look(Style())
        performance = Performance(self.changes, look, self.fixed)
        stretches: list[tuple[Fraction, Fraction]] = []
        frozen_s: float | None = None
        for index, change in enumerate(self.changes):
            look = performance.look_at(change.time_s)
            start_s = max(0.0, change.time_s - SAME_TIME)
            if not (change.glide or change.over or (index == 0 and change.time_s == 0)):
                longest_s = look.transition_s + max(STALE_S, look.transition_s)
                stretches.append(_stretch(start_s, change.time_s + longest_s))
            if look.freeze and frozen_s is None:
                frozen_s = start_s
            elif not look.freeze and frozen_s is not None:
                stretches.append(_stretch(frozen_s, change.time_s))
                frozen_s = None
        if frozen_s is not None:
            stretches.append(_stretch(frozen_s, FOREVER_S))
        return tuple(stretches)


def _stretch(start_s: float, end_s: float) -> tuple[Fraction, Fraction]:
    return Fraction(start_s), Fraction(end_s + SAME_TIME)


class PerformedStylizer(Stylizer):
    """A stylizer of one stream, which follows a performance.

    Args:
        style: Of the words that the performance does not set.
        changes: The performance.
        fixed: Words that stay as they are in `style`, `stability` and `mask`.
        mask: Where the painting shows while the word `mask` is true, as `make_region` takes it.
        options: Further ones of `Stylizer`.
    """

    def __init__(
        self,
        engine: "Engine",
        style: "Style | None" = None,
        *,
        changes: Sequence[Change],
        fixed: Collection[str] = (),
        stability: float = DEFAULT_STABILITY,
        mask: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(engine, style, stability=stability, composes=False, **options)
        look = Look(self.style, stability, mask=mask is not None)
        self._performance = Performance(changes, look, fixed)
        self._mask = mask or PERSON
        self._looks: dict[int, tuple[Frame, Look]] = {}
        self._fade = CrossFade()
        self._style_shown: Style | None = None
        self._last: Reference | None = None
        self._shown: Data | None = None

    def paint(self, frame: Frame | None) -> Painted:
        if frame is not None:
            look = self._performance.look_at(frame.time_s)
            self.style, self.stability = look.style, look.stability
            self._turn_mask(look)
            self.is_gradual = look.gliding
            self._looks[frame.pts] = frame, look
        return super().paint(frame)

    def _turn_mask(self, look: Look) -> None:
        """A mask that is turned on knows nothing of when it was on before: parts are alike then."""
        if look.mask and self.region is None:
            self.region = make_region(self._mask)
        elif not look.mask and self.region is not None:
            self.region.close()
            self.region = None

    def finish(self, painted: Painted) -> Iterable[Frame]:
        finished = map(self._composed, super().finish(painted))
        return finished if painted.is_end else list(finished)

    def _composed(self, painted: Frame) -> Frame:
        """What the live session would have shown for this frame."""
        source, look = self._looks.pop(painted.pts)
        if look.freeze and self._shown is not None:
            return painted.replace(self._shown, mask=None)
        data = mask = None
        if not (look.bypass or look.freeze):
            self._change_style(look, source)
            painted = self._fade.mixed(source, painted, source.time_s)
            self._last = make_reference(source, painted)
            data, mask = painted.data, painted.mask
        self._shown = compose(source, data, look, painted.size, mask)
        return painted.replace(self._shown, mask=None)

    def _change_style(self, look: Look, source: Frame) -> None:
        before, self._style_shown = self._style_shown, look.style
        if before in (None, look.style) or look.gliding or self._last is None:
            return
        if look.transition_s > 0:
            age_s = source.time_s - self._last.frame.time_s
            if age_s > max(STALE_S, look.transition_s):
                self._fade.end()
            else:
                self._fade.start(self._last, source.time_s, look.transition_s)
