"""Stylizer: frames in, painted frames out; engine, style, geometry and temporal state in one place.

    frame ─prepare─► image ─encode─► latents ─denoise─► x0 ─decode─► image ─blend─► data ─finish─►

Where nothing changed since the last frame, its picture is given out again and the model rests.

Starts no thread, reads no clock but to time its stages. Torch is touched only inside `process`, so
only in the thread that calls it. Called by `stream.session`, or by hand.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.frame import Frame, Size
from stream.geometry import OutputSize
from stream.stats import Stats
from stream.temporal import Temporal
from stream.temporal.blend import check_stability

if TYPE_CHECKING:
    from torch import Tensor

    from models import Conditioning, Engine, Schedule, Style

T = TypeVar("T")

DEFAULT_STABILITY = 0.5


class Stylizer:
    """Paints the frames of one stream, one after the other.

    `process` belongs to one thread; `style` and `stability` may be set from any, and hold from the
    next frame on. The first frame configures the sizes; the following ones must have its size.

    Args:
        engine: The model.
        style: What to paint; ``None`` takes the model's default.
        short_side_px: Short side the model paints at; ``None`` takes the model's native one.
        output_size: ``"source"`` (the default), ``"model"``, or (width, height).
        stability: 0 (every frame for itself) to 1 (paint clings).
        sample_aspect_ratio: Width of a source pixel over its height.
        stats: Where stage times go; one is made if there is none.

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
    ) -> None:
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
        self._temporal = Temporal()
        self._conditioning: Latest[Conditioning] = Latest()
        self._schedule: Latest[Schedule] = Latest()
        self._noise: Latest[Tensor] = Latest()
        # the painted picture, which keeps its id from being used again, and the resized one
        self._output: Latest[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = Latest()

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

    def sizes(self, source_size: Size) -> "Sizes":
        """The model's and the output's size for frames of `source_size`."""
        model = geometry.model_size(
            source_size,
            self._short_side_px,
            self._engine.size_multiple,
            self._sample_aspect_ratio,
        )
        return Sizes(
            source_size, model, geometry.output_size(self._output_size, source_size, model)
        )

    def process(self, frame: Frame | None) -> list[Frame]:
        """Paint one frame; the painted ones that are ready come back, in order.

        ``None`` says that the stream has ended: what is held back comes out, and the next frame
        starts a new stream.

        Raises:
            ValueError: The frame's size differs from the first one's.
            ModelError: The model failed.
        """
        if frame is None:
            self.reset()
            return []
        return [self._paint(frame, self._configured(frame), self._style, self._stability)]

    def reset(self) -> None:
        """Forget the stream: its size and its history. The style and what it needs stay."""
        self._sizes = None
        self._output = Latest()
        self._temporal.reset()

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

    def _paint(self, frame: Frame, sizes: "Sizes", style: "Style", stability: float) -> Frame:
        engine, temporal, stage = self._engine, self._temporal, self.stats.stage
        if self._adopt(style, sizes.model):
            temporal.reset()
        _, rows, columns = engine.latent_shape(sizes.model)
        with stage("prepare"):
            data = geometry.resize(frame.data, sizes.model)
            decision = temporal.decide(data, (columns, rows), frame.time_s, stability)
        if decision.is_cut:
            self.stats.count_event("cut")
        if decision.is_still and temporal.shown is not None:
            self.stats.count_event("still")
            return frame.replace(self._finished(temporal.shown, sizes.output))
        with stage("encode"):
            latents = engine.encode(engine.to_image(data))
        with stage("denoise"):
            x0 = engine.denoise(
                latents, self._noise.value, self._conditioning.value, self._schedule.value
            )
        with stage("decode"):
            painted = engine.to_data(engine.decode(x0))
        with stage("blend"):
            painted = temporal.mix(painted, decision)
        with stage("finish"):
            return frame.replace(self._finished(painted, sizes.output))

    def _finished(self, painted: "NDArray[np.uint8]", size: Size) -> "NDArray[np.uint8]":
        """The picture at the output's size; a picture shown again is not resized again."""
        self._output.make(id(painted), lambda: (painted, geometry.resize(painted, size)))
        return self._output.value[1]

    def _adopt(self, style: "Style", size: Size) -> bool:
        """Rebuild what changed with the style; say whether anything did."""
        engine = self._engine
        changed = [
            self._conditioning.make(
                (style.prompt, style.guidance_scale), lambda: engine.encode_prompt(style)
            ),
            self._schedule.make(
                (style.num_inference_steps, style.strength), lambda: engine.schedule(style)
            ),
            self._noise.make(
                (style.num_inference_steps, style.seed, size), lambda: engine.noise(style, size)
            ),
        ]
        if any(changed):
            self.stats.note(*engine.notes)
        return any(changed)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The three sizes of a stream, (width, height) in px: as read, as painted, as given out."""

    source: Size
    model: Size
    output: Size


class Latest(Generic[T]):
    """A value that is made again only when what it depends on has changed."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._values: list[T] = []

    def make(self, key: Hashable, make: Callable[[], T]) -> bool:
        """Make the value unless it was made for `key` already; say whether it was made."""
        if self._values and key == self._key:
            return False
        self._values = [make()]
        self._key = key
        return True

    @property
    def value(self) -> T:
        return self._values[0]
