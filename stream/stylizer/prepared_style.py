"""PreparedStyle: paints pictures with a style whose embedding, schedule and noise are made once.

    data ─encode─► latents ─denoise─► x0 ─decode─► data

Each picture is painted for itself. This is the only file of the package that calls the engine's
networks. Called by `stylizer.py`.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.frame import Size
from stream.stats import Stats
from stream.stylizer.causal_order import Painting
from stream.temporal.noise import Places

if TYPE_CHECKING:
    from torch import Tensor

    from models import Advance, Conditioning, Engine, Memory, Schedule, Style

T = TypeVar("T")

FIXED_LORAS = (
    "The word loras says nothing here: LoRAs are switched in sessions that were started with "
    "--switch-loras."
)


class Latest(Generic[T]):
    """A value that is made again only when what it depends on has changed."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._values: list[T] = []

    def make(self, key: Hashable, make: Callable[[], T]) -> None:
        """Make the value unless it was made for `key` already."""
        if not self._values or key != self._key:
            self._values = [make()]
            self._key = key

    @property
    def value(self) -> T:
        return self._values[0]


class PreparedStyle:
    """Paints single pictures. Belongs to one thread.

    Args:
        engine: The model.
        stats: Where stage times and the engine's notes go.
        ahead: Pictures will be begun before those before them are asked for.
        remembers: The pictures are a stream whose history lies where the model runs.

    Attributes:
        cell_px: Pixels a latent cell of what is painted, one of the engine's `cell_sizes`; ``None``
            is the largest.
    """

    def __init__(
        self, engine: "Engine", stats: Stats, *, ahead: bool = False, remembers: bool = False
    ) -> None:
        self._engine = engine
        self._stats = stats
        self._ahead = ahead and not remembers  # one after the other, each needs the one before
        self._memory: Latest[Memory] | None = Latest() if remembers else None
        self._conditioning: Latest[Conditioning] = Latest()
        self._schedule: Latest[Schedule] = Latest()
        self._noise: Latest[Tensor] = Latest()
        self._held: tuple[Style, Size, int] | None = None
        self.cell_px: int | None = None

    def holds(self, style: "Style", size: Size) -> bool:
        """Whether all is ready for this style and size."""
        return self._held == (style, size, self._engine.revision)

    def adopt(self, style: "Style", size: Size) -> None:
        """Make what the style and the size need and is not there yet.

        Raises:
            ModelError: The model failed.
        """
        engine, self._held = self._engine, None
        if engine.loras is not None:
            engine.loras.choose(style.loras)  # another revision, which what follows depends on
        elif style.loras:
            self._stats.note(FIXED_LORAS)
        self._conditioning.make(
            (
                style.prompt,
                style.guidance_scale,
                style.images,
                style.image_weights,
                style.structure_weight,
                engine.revision,
            ),
            lambda: engine.encode_prompt(style),
        )
        self._schedule.make(
            (style.num_inference_steps, style.strength), lambda: engine.schedule(style)
        )
        self._noise.make(
            (style.num_inference_steps, style.seed, size), lambda: engine.noise(style, size)
        )
        if self._memory is not None:
            from models import memory_of

            self._memory.make(size, lambda: memory_of(engine, size))
        self._held = style, size, engine.revision
        self._stats.note(*engine.notes)

    @property
    def in_flight(self) -> int:
        """How many pictures are worth having begun; 0 where `begin` paints them itself."""
        return self._engine.in_flight(self._ahead)

    def begin(
        self,
        data: NDArray[np.uint8],
        places: Places | None = None,
        advance: "Advance | None" = None,
    ) -> Painting:
        """Begin to paint uint8 RGB (H, W, 3) of the size that was adopted.

        Args:
            places: Where its noise comes from; ``None`` leaves it in its place.
            advance: How the stream goes on, where the engine remembers.

        Raises:
            ModelError: The model failed.
        """
        noise = self._noise.value if places is None else self._moved(places)
        if advance is not None:
            return self._begin_whole(data, noise, [advance])
        if self.in_flight:
            return self._begin_whole(data, noise)
        painted = self._paint(data, noise)
        return lambda: painted

    def begin_batch(
        self,
        data: NDArray[np.uint8],
        places: Sequence[Places | None],
        advances: "Sequence[Advance | None]" = (),
    ) -> Painting:
        """The same for several pictures, (B, H, W, 3), in one call of the engine.

        Raises:
            ModelError: The model failed.
        """
        noise = self._noise.value
        if any(each is not None for each in places):
            import torch

            noise = torch.stack(
                [noise if each is None else self._moved(each) for each in places], dim=1
            )
        self._stats.count_event("batch")
        told = [each for each in advances if each is not None]
        return self._begin_whole(data, noise, told)

    def _moved(self, places: Places) -> "Tensor":
        import torch

        from models import moved_noise

        return moved_noise(self._noise.value, torch.from_numpy(places))

    def _paint(self, data: NDArray[np.uint8], noise: "Tensor") -> NDArray[np.uint8]:
        engine, stage = self._engine, self._stats.stage
        with stage("encode"):
            image = engine.to_image(data)
            latents = engine.encode(image)
            features = engine.features(image, noise, self._conditioning.value)
        with stage("denoise"):
            x0 = engine.denoise(
                latents,
                noise,
                self._conditioning.value,
                self._schedule.value,
                features=features,
            )
        with stage("decode"):
            return engine.picture(x0, self.cell_px)

    def _begin_whole(
        self, data: NDArray[np.uint8], noise: "Tensor", advances: "Sequence[Advance]" = ()
    ) -> Painting:
        """As `begin`, where one call of the engine does it all."""
        more: dict[str, Any] = {}
        if advances and self._memory is not None:
            from models import Remembered

            more["remembered"] = Remembered(self._memory.value, advances)
        with self._stats.stage("begin"):
            painting = self._engine.begin(
                data,
                noise,
                self._conditioning.value,
                self._schedule.value,
                ahead=self._ahead,
                cell_px=self.cell_px,
                **more,
            )
        self._stats.note(*self._engine.notes)
        return partial(self._waited_for, painting)

    def _waited_for(self, painting: Painting) -> NDArray[np.uint8]:
        with self._stats.stage("wait"):
            return painting()
