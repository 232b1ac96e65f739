"""Stylizer: frames in, painted frames out, with the style, sizes and history of one stream.

    frame ──paint──► Painted ──finish──► frames that go out

    paint    prepared_style.py    the engine paints with a style made ready once
             causal_order.py      what is decided for each frame from those before it, or
             look_ahead_buffer.py from those after it as well (files)
    finish   post_processing.py   look-ahead smoothing, interpolation of skipped frames
             output_frames.py     order and size of what goes out

Starts no thread. Torch is touched only inside `paint`, so only in the thread that calls it.
Called by `stream.offline.session`, `stream.live.live_stylizer`, or by hand.
"""

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.frame import Frame, Size
from stream.geometry import OutputSize
from stream.stats import Stats
from stream.stylizer.batches import Batches
from stream.stylizer.causal_order import Begin, CausalOrder, StreamBlend
from stream.stylizer.look_ahead_buffer import LookAheadBuffer
from stream.stylizer.options import check_blend
from stream.stylizer.output_frames import OutputFrames, Painted
from stream.stylizer.prepared_style import PreparedStyle
from stream.stylizer.regions import Region, Shots
from stream.temporal.blend import check_stability
from stream.temporal.settings import DEFAULTS, TemporalSettings

if TYPE_CHECKING:
    from models import Blend, Engine, Style

logger = logging.getLogger(__name__)

DEFAULT_STABILITY = 0.5


class Stylizer:
    """Paints the frames of one stream, one after the other.

    Where `is_gradual` is true, a change of style is one small step of many: what was painted before
    it stays history.

    `process` belongs to one thread; `style` and `stability` may be set from any, and hold from the
    next frame on. The first frame configures the sizes; the following ones must have its size.
    In place of `process`, `paint` may be called in one thread and `finish` in another.

    Args:
        engine: The model.
        style: What to paint; ``None`` takes the model's default.
        short_side_px: Short side the model paints at; ``None`` takes the model's native one.
        output_size: ``"source"`` (the default), ``"model"``, or (width, height).
        stability: 0 (every frame for itself) to 1 (keeps most of the frame before).
        sample_aspect_ratio: Width of a source pixel over its height.
        stats: Where stage times go; one is made if there is none.
        look_ahead: Smooth each frame by those after it as well, which holds frames back. Not for
            a live stream.
        every: Paint one frame in so many, and make those between from their painted neighbours,
            which holds frames back if it is more than 1.
        temporal: Expert settings of stability.
        overlap: Let frames be painted while the host works on others, which holds some back: one
            on a GPU, as many as there are cores where the engine paints them side by side.
        by_shots: Paint each shot as if the stream began with it, whatever else is asked for: a film
            may then be painted in parts that begin at cuts. Not for a live stream.
        batch: Paint so many frames in one call of the engine, which holds up to twice as many back
            if it is more than 1; where frames stand still, up to eight times as many.
        region: Where the painting shows; elsewhere the frame stays as it was. ``None`` paints all
            of it.
        composes: Give frames out with both in them; otherwise with the painting alone, and where it
            shows as their mask.
        blend: Where the history is blended in: "picture", on the host, after the model; "latent",
            where the model runs; "both"; or "auto", the better measured one, which the log names.

    Raises:
        ValueError: A value is outside its range.
    """

    def __init__(
        self,
        engine: "Engine",
        style: "Style | None" = None,
        *,
        short_side_px: int | None = None,
        output_size: OutputSize = "source",
        stability: float = DEFAULT_STABILITY,
        sample_aspect_ratio: Fraction = Fraction(1),
        stats: Stats | None = None,
        look_ahead: bool = False,
        every: int = 1,
        temporal: TemporalSettings = DEFAULTS,
        overlap: bool = False,
        by_shots: bool = False,
        batch: int = 1,
        region: Region | None = None,
        composes: bool = True,
        blend: "Blend" = "auto",
    ) -> None:
        check_blend(blend)
        for name, count in (("batch", batch), ("every", every)):
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"got {name}={count}, expected 1 or more")
        geometry.check_output_size(output_size)
        if short_side_px is not None and short_side_px < 1:
            raise ValueError(f"got short_side_px={short_side_px}, expected 1 or more")
        self.stats = stats or Stats()
        self._engine = engine
        self._style = style or engine.default_style
        self._stability = check_stability(stability)
        self._short_side_px = short_side_px or engine.native_size
        self._output_size = output_size
        self._sample_aspect_ratio = sample_aspect_ratio
        self._sizes: Sizes | None = None
        self.is_gradual = False
        self._blend = self._chosen(blend)
        remembers = self._blend != "picture"
        self._prepared = PreparedStyle(engine, self.stats, ahead=overlap, remembers=remembers)
        self._look_ahead, self._every, self._temporal = look_ahead, every, temporal
        self._overlap, self._by_shots, self._batch = overlap, by_shots, batch
        self._region, self._composes = region, composes
        self._shots = Shots()
        self._order, self._output_frames = self._make_order(), OutputFrames(self.stats)

    @property
    def blend(self) -> StreamBlend:
        """Where the history is blended in."""
        return self._blend

    def _chosen(self, blend: "Blend") -> StreamBlend:
        if blend != "auto":
            return blend
        from models import better_blend

        better, told = better_blend(self._engine)
        logger.info(told)
        return better

    @property
    def style(self) -> "Style":
        """What is painted. Set it whole, from any thread; it holds from the next frame on."""
        return self._style

    @style.setter
    def style(self, style: "Style") -> None:
        self._style = style

    @property
    def stability(self) -> float:
        """0 to 1. Set it from any thread; it holds from the next frame on."""
        return self._stability

    @stability.setter
    def stability(self, stability: float) -> None:
        self._stability = check_stability(stability)

    @property
    def region(self) -> Region | None:
        """Where the painting shows. Set it from any thread; it holds from the next frame on."""
        return self._region

    @region.setter
    def region(self, region: Region | None) -> None:
        self._region = region

    def sizes(self, source_size: Size) -> "Sizes":
        """The model's and the output's size for frames of `source_size`."""
        model = geometry.model_size(
            source_size,
            self._short_side_px,
            self._engine.size_multiple,
            self._sample_aspect_ratio,
        )
        _, rows, columns = self._engine.latent_shape(model)
        cells = self._engine.cell_sizes
        whole = cells[-1] * columns, cells[-1] * rows
        output = geometry.output_size(self._output_size, source_size, whole)
        cell_px = geometry.least_cell(cells, (columns, rows), output)
        painted = cell_px * columns, cell_px * rows
        return Sizes(source_size, model, painted, output, cell_px)

    @overload
    def process(self, frame: Frame) -> list[Frame]: ...

    @overload
    def process(self, frame: None) -> Iterable[Frame]: ...

    def process(self, frame: Frame | None) -> Iterable[Frame]:
        """Paint one frame; the painted ones that are ready come back, in order.

        ``None`` says that the stream has ended: what is held back comes out, each picture brought
        to its size when it is taken, and the next frame starts a new stream.

        Raises:
            ValueError: The frame's size differs from the first one's.
            ModelError: The model failed.
        """
        return self.finish(self.paint(frame))

    def paint(self, frame: Frame | None) -> Painted:
        """The first half of `process`: all that the model has to do with.

        Raises:
            ValueError, ModelError: As `process`.
        """
        if frame is None:
            sizes, output_frames = self._sizes, self._output_frames
            try:
                rest = self._order.finish()
            finally:
                self.reset()
            return Painted(output_frames, rest, sizes.output if sizes else None, is_end=True)
        sizes, style, stability = self._configured(frame), self._style, self._stability
        with self.stats.stage("prepare"):
            data = geometry.resize(frame.data, sizes.model)
        _, rows, columns = self._engine.latent_shape(sizes.model)
        with ExitStack() as on_failure:
            on_failure.callback(self._start_afresh)
            if not self._prepared.holds(style, sizes.model):
                if self.is_gradual:
                    self._order.repaint()
                else:
                    self._order.end_shot()
                self._prepared.cell_px = sizes.cell_px
                self._prepared.adopt(style, sizes.model)
            frame = self._masked(frame, data, (columns, rows))
            later = self._order.add(frame, data, (columns, rows), stability)
            on_failure.pop_all()
        return Painted(self._output_frames, later, sizes.output)

    def finish(self, painted: Painted) -> Iterable[Frame]:
        """The second half of `process`, once for each first half and in their order.

        At most one frame comes back before the end, so that whoever writes them has no rush.
        """
        output_frames, later, size, is_end = painted
        return [] if size is None else output_frames.take(later, size, is_end=is_end)

    def reset(self) -> None:
        """Forget the stream: its size, its history, what is held back. The style stays."""
        self._sizes = None
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Wait for nothing that was begun before a failure: it may never be there."""
        self._shots = Shots()
        self._order, self._output_frames = self._make_order(), OutputFrames(self.stats)

    def _masked(self, frame: Frame, data: NDArray[np.uint8], grid: Size) -> Frame:
        """The frame with its mask, and with what stays where that hides the painting."""
        region = self._region
        if region is None:
            return frame
        with self.stats.stage("mask"):
            mask = region.find(frame, starts_shot=self._shots.starts(data, grid, frame.time_s))
        unpainted = frame.data if self._composes else None
        return frame.replace(frame.data, mask=mask, unpainted=unpainted)

    def _make_order(self) -> CausalOrder:
        begin: Begin = self._prepared.begin
        in_work, carries_noise = 0, self._engine.carries_noise
        if self._batch > 1:
            # one batch fills while the other is painted, with room for frames that are still
            batches = Batches(self._prepared.begin_batch, self._batch)
            begin, in_work = batches.begin, 2 * self._batch - 1
        elif self._overlap:
            in_work = self._prepared.in_flight
        if self._look_ahead or self._every != 1 or self._by_shots:
            return LookAheadBuffer(
                begin,
                self.stats,
                self._temporal,
                in_work=in_work,
                look_ahead=self._look_ahead,
                every=self._every,
                carries_noise=carries_noise,
                blend=self._blend,
            )
        return CausalOrder(
            begin,
            self.stats,
            self._temporal,
            in_work=in_work,
            carries_noise=carries_noise,
            blend=self._blend,
        )

    def _configured(self, frame: Frame) -> "Sizes":
        if self._sizes is None:
            self._sizes = self.sizes(frame.size)
        if frame.size != self._sizes.source:
            raise ValueError(
                f"got a frame of {frame.width}x{frame.height} in a stream of "
                f"{self._sizes.source[0]}x{self._sizes.source[1]}: call process(None) or reset() "
                "before frames of another size"
            )
        return self._sizes


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a stream, (width, height) in px.

    Attributes:
        source: As read.
        model: As the model sees it.
        painted: As the model paints it.
        output: As given out.
        cell_px: Pixels a latent cell of `painted`.
    """

    source: Size
    model: Size
    painted: Size
    output: Size
    cell_px: int
