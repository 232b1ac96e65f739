"""LiveStylizer: paints the frames of a live session, one by one, at the effort the governor allows.

    frame ─► stylizer of the size that the governor allows ─► cross-fade from the style before ─►

It times each painting, passes the time to the governor and applies the governor's decisions. It
paints at the size before until the engine is ready for another. Made and called in the one thread
that uses torch. Called by `stream.live.session` and the studio's seats.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from stream.clock import Clock
from stream.frame import Frame, Size
from stream.geometry import OutputSize
from stream.live.controls import Look
from stream.live.cross_fade import CrossFade
from stream.live.governor import Effort, Governor, GovernorMode, make_rungs
from stream.live.motion_carry import Reference, make_reference
from stream.live.size_preparation import SizePreparation
from stream.stats import STILL, Stats
from stream.stylizer.masks import PERSON
from stream.stylizer.regions import Region, make_region
from stream.stylizer.stylizer import Stylizer

if TYPE_CHECKING:
    from models import Blend, Engine, Style

logger = logging.getLogger(__name__)

REHEARSALS = 2
"""Paintings of noise before the first frame: what is made at first use is made then."""

EASE_S = 0.25
"""Cross-fade where the governor changes how a picture is painted: another size or number of steps
gives other strokes."""

STALE_S = 1.0
"""A painting older than this is no start for a cross-fade, unless that lasts longer: after a bypass
it would be the ghost of another scene."""

PERIOD_SLACK = 0.5
"""Share of a frame period by which the next painting may come before its turn (capture jitter)."""


@dataclass(frozen=True, slots=True)
class LiveStylizerOptions:
    """How to paint, apart from the look.

    Attributes:
        short_side_px: Short side the model paints at; ``None`` takes the model's native one.
        output_size: ``"source"``, ``"model"`` (at the full short side), or (width, height).
        fps_target: Frames a second that the governor holds.
        governor: What it may give up.
        sample_aspect_ratio: Width of a source pixel over its height.
        mask: Where `Look.mask` shows the painting, as `make_region` takes it.
        blend: As `Stylizer` takes it.
    """

    short_side_px: int | None = None
    output_size: OutputSize = "source"
    fps_target: float = 24.0
    governor: GovernorMode = "latency"
    sample_aspect_ratio: Fraction = Fraction(1)
    mask: str = PERSON
    blend: "Blend" = "auto"


class LiveStylizer:
    """Paints the frames of one live stream. Not thread-safe; one per stream.

    Args:
        engine: The model.
        look: What the stream starts with.

    Attributes:
        crowd: How many times longer a painting takes than by itself, as others paint by turns.
        preparation: Makes the engine ready for sizes.
    """

    def __init__(
        self,
        engine: "Engine",
        look: Look,
        options: LiveStylizerOptions,
        *,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self.crowd: Callable[[], float] = lambda: 1.0
        self.preparation = SizePreparation(engine)
        self._engine = engine
        self._options = options
        self._clock = clock
        self._stats = stats
        self._short_side_px = options.short_side_px or engine.native_size
        self._style = look.style
        self._region: Region | None = None
        self._full = self._make_stylizer(self._short_side_px, options.output_size)
        self._stylizers = {self._short_side_px: self._full}
        self._governor = Governor(self._rungs(look.style), 1 / options.fps_target)
        self._last: Reference | None = None
        self._painted_px: int | None = None
        self._fade = CrossFade()

    @property
    def effort(self) -> Effort:
        """What the governor asks for now."""
        return self._governor.effort

    def output_size(self, source_size: Size) -> Size:
        """The size of painted frames for frames of `source_size`."""
        return self._full.sizes(source_size).output

    def warm_up(self, source_size: Size, look: Look) -> None:
        """Load and compile what the first frame would otherwise wait for."""
        sizes = self._full.sizes(source_size)
        self._engine.warm_up(sizes.model, cell_px=sizes.cell_px)
        rehearsal = Stylizer(
            self._engine,
            look.style,
            short_side_px=self._short_side_px,
            output_size=self._options.output_size,
            stability=look.stability,
            sample_aspect_ratio=self._options.sample_aspect_ratio,
            region=self._region_of(look),
            composes=False,
            blend=self._options.blend,
        )
        width, height = source_size
        random = np.random.default_rng(0)
        for index in range(REHEARSALS):
            data = random.integers(0, 256, (height, width, 3), np.uint8)
            rehearsal.process(Frame(data, index, 1 / Fraction(self._options.fps_target)))

    def can_begin(self, source_size: Size) -> bool:
        """Whether a painting of now waits for nothing to be made; if not, that is made beside."""
        return self._painted_px is not None or self._is_ready(
            self.effort.short_side_px, source_size, self._style
        )

    def can_rest(self, source_size: Size, look: Look) -> bool:
        """Likewise of a painting at rest."""
        return self._is_ready(self._governor.best.short_side_px, source_size, look.style)

    def prepare_all(self, source_size: Size) -> bool:
        """Make ready, beside, one size more that the governor may ask for; whether all are."""
        sides_px = sorted({rung.short_side_px for rung in self._rungs(self._style)})
        return all(self._is_ready(side_px, source_size) for side_px in sides_px)

    def is_due(self, frame: Frame) -> bool:
        """Whether this frame is one to paint: one in every `Effort.every`, by capture time."""
        if self._last is None or self.effort.every == 1:
            return True
        since_s = frame.captured_at_s - self._last.frame.captured_at_s
        return since_s >= (self.effort.every - PERIOD_SLACK) / self._options.fps_target

    def paint(self, frame: Frame, look: Look) -> Frame:
        """The painted frame.

        Raises:
            ValueError: The frame's size differs from the first one's.
            ModelError: The model failed.
        """
        start_s = self._clock.now_s()
        look = self._ready_look(look, frame.size)
        if look.style != self._style:
            self._change_style(look, frame, start_s)
        effort = self.effort
        side_px = self._side_px(effort.short_side_px, frame.size, start_s)
        stylizer = self._stylizer(side_px, frame.size)
        steps = min(look.style.num_inference_steps, effort.steps)
        stylizer.style = replace(look.style, num_inference_steps=steps)
        stylizer.stability, stylizer.is_gradual = look.stability, look.gliding
        stylizer.region = self._region_of(look)
        rested = self._stats.count_of(STILL)
        painted = stylizer.process(frame)[-1]
        has_painted = self._stats.count_of(STILL) == rested
        self._observe(start_s, has_painted=has_painted, at_effort=side_px == effort.short_side_px)
        painted = self._fade.mixed(frame, painted, self._clock.now_s())
        self._last = make_reference(frame, painted)
        if not self._fade.runs and _repaints(effort, self.effort):
            self._fade.start(self._last, self._clock.now_s(), EASE_S)
        return painted

    def paint_at_rest(self, frame: Frame, look: Look) -> Frame:
        """The frame painted with nothing given up, and for itself: it will stand for a while.

        Raises:
            ValueError, ModelError: As `paint`.
        """
        best = self._governor.best
        stylizer = self._stylizer(best.short_side_px, frame.size)
        stylizer.reset()
        stylizer.style = look.style
        stylizer.stability = look.stability
        stylizer.region = self._region_of(look)
        with self._stats.stage("paint at rest"):
            painted = stylizer.process(frame)[-1]
        self._fade.end()
        self._last = make_reference(frame, painted)
        return painted

    @property
    def gives_up(self) -> bool:
        """Whether a painting of now lacks something that one at rest would have."""
        return self._fade.runs or self.effort != self._governor.best

    @property
    def reference(self) -> Reference | None:
        """The newest painting and what it was painted from."""
        return self._last

    def reset(self) -> None:
        """Let go of what the stylizers hold of the stream; the next frame may have another size."""
        for stylizer in self._stylizers.values():
            stylizer.reset()
        self._last = self._painted_px = None
        self._fade.end()

    def close(self) -> None:
        """Let go of the stream, and end what runs beside the engine."""
        self.reset()
        if self._region is not None:
            self._region.close()
        self._engine.close()

    def _rungs(self, style: "Style") -> tuple[Effort, ...]:
        multiple_px = self._engine.size_multiple
        steps = style.num_inference_steps
        return make_rungs(self._options.governor, steps, self._short_side_px, multiple_px)

    def _side_px(self, wanted_px: int, source_size: Size, now_s: float) -> int:
        """What to paint at: the size before, as long as another is being made ready."""
        before_px = self._painted_px
        if before_px in (None, wanted_px):
            self._painted_px = wanted_px
        elif self._is_ready(wanted_px, source_size):
            self._painted_px = wanted_px
            if self._last is not None and not self._fade.runs:
                self._fade.start(self._last, now_s, EASE_S)
        return self._painted_px or wanted_px

    def _ready_look(self, look: Look, source_size: Size) -> Look:
        """The look, with the prompt before as long as the engine is being made ready for it."""
        before, side_px = self._style.prompt, self._painted_px
        if look.gliding or look.style.prompt == before or side_px is None:
            return look
        if self._is_ready(side_px, source_size, look.style):
            return look
        return replace(look, style=replace(look.style, prompt=before))

    def _is_ready(
        self, short_side_px: int, source_size: Size, style: "Style | None" = None
    ) -> bool:
        sizes = self._stylizer(short_side_px, source_size).sizes(source_size)
        return self.preparation.is_ready(sizes.model, sizes.cell_px, style)

    def _stylizer(self, short_side_px: int, source_size: Size) -> Stylizer:
        """The one that paints at this size; all give out pictures of one size."""
        stylizer = self._stylizers.get(short_side_px)
        if stylizer is None:
            stylizer = self._make_stylizer(short_side_px, self.output_size(source_size))
            self._stylizers[short_side_px] = stylizer
        return stylizer

    def _make_stylizer(self, short_side_px: int, output_size: OutputSize) -> Stylizer:
        return Stylizer(
            self._engine,
            self._style,
            short_side_px=short_side_px,
            output_size=output_size,
            sample_aspect_ratio=self._options.sample_aspect_ratio,
            blend=self._options.blend,
            stats=self._stats,
            composes=False,
        )

    def _region_of(self, look: Look) -> Region | None:
        """Where the painting shows; made when it is first wanted."""
        if look.mask and self._region is None:
            self._region = make_region(self._options.mask)
        return self._region if look.mask else None

    def _change_style(self, look: Look, frame: Frame, now_s: float) -> None:
        if look.style.num_inference_steps != self._style.num_inference_steps:
            self._governor.rebase(self._rungs(look.style))
        self._style = look.style
        if look.gliding:  # the fade before goes on
            return
        self._governor.disturbed()
        self._stats.count_event("style change")
        if look.transition_s > 0 and self._last is not None:
            age_s = frame.captured_at_s - self._last.frame.captured_at_s
            if age_s > max(STALE_S, look.transition_s):
                self._fade.end()
            else:
                self._fade.start(self._last, now_s, look.transition_s)

    def _observe(self, start_s: float, *, has_painted: bool, at_effort: bool) -> None:
        now_s = self._clock.now_s()
        self._stats.record("paint", now_s - start_s)
        if has_painted:
            self._stats.count_painted(now_s)
        # a picture shown again, or of another size than was asked for, tells nothing of that effort
        spent_s = (now_s - start_s) * self.crowd()
        tells = has_painted and at_effort
        decision = self._governor.observe(spent_s, now_s) if tells else None
        self._stats.effort, self._stats.effort_level = str(self.effort), self._governor.level
        if decision is None:
            return
        logger.info("governor: %s", decision)
        worse = decision.after.cost() < decision.before.cost() or (
            decision.after.every > decision.before.every
        )
        self._stats.count_event("governor down" if worse else "governor up")
        after_px = decision.after.short_side_px
        if after_px != decision.before.short_side_px and after_px in self._stylizers:
            self._stylizers[after_px].reset()


def _repaints(before: Effort, after: Effort) -> bool:
    """Whether a picture of the one effort is another than one of the other."""
    return (before.short_side_px, before.steps) != (after.short_side_px, after.steps)
