"""Fakes with the real contract: a model of known answer, a source and a sink of lists.

Each breaks where it is told to, with the error that it is given.
"""

import threading
from collections.abc import Callable, Iterable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import Style
from stream.frame import Frame, Size
from stream.offline.session import Session
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.stylizer.stylizer import Stylizer
from stream.video_info import VideoInfo

CELL_PX = 8

COUNT = 12
"""More frames than both channels and all three threads can hold."""

LIMIT_S = 600
"""A session that has not ended after this hangs, however busy the machine is."""


class Breaks:
    """Counts calls by name and raises at the one that is asked for.

    Args:
        at: Name of the call, e.g. ``"write"``; ``None`` never breaks.
        nth: At which call of that name, from 1.
        error: What to raise; a fresh ``RuntimeError`` by default.
    """

    def __init__(
        self, at: str | None = None, nth: int = 1, error: BaseException | None = None
    ) -> None:
        self.at = at
        self.nth = nth
        self.error = error or RuntimeError(f"broken at {at} {nth}")
        self.counts: dict[str, int] = {}

    def __call__(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == self.at and self.counts[name] == self.nth:
            raise self.error


class FakeEngine:
    """A model whose answer is known: means of 8x8 blocks, tinted by the prompt, grained by noise.

    x0 = latents + strength (0.2 noise + tint(prompt)); decoding repeats each cell over its pixels.
    """

    device = torch.device("cpu")
    dtype = torch.float32
    name = "fake"
    default_style = Style()
    native_size = 64
    size_multiple = 16
    output_scale = 1
    cell_sizes: tuple[int, ...] = (CELL_PX,)
    carries_noise = False
    revision = 0
    image_encoder = None
    loras = None
    networks = SimpleNamespace(
        encode=None, predict=None, decode=None, stem=None, exit=None, exit_block=lambda cell: None
    )

    def __init__(self, breaks: Breaks | None = None) -> None:
        self.calls = breaks or Breaks()
        self.notes: list[str] = []
        self.is_closed = False

    def latent_shape(self, size: Size) -> tuple[int, int, int]:
        if any(side < 1 or side % self.size_multiple for side in size):
            raise ValueError(f"got size={size}, expected multiples of {self.size_multiple}")
        return 3, size[1] // CELL_PX, size[0] // CELL_PX

    @torch.inference_mode()
    def encode_prompt(self, style: Style) -> Tensor:
        self.calls("encode_prompt")
        if style.guidance_scale != 1:
            self.notes.append("guidance_scale is ignored")
        return torch.tensor([sum(style.prompt.encode()) % 17 / 50.0])

    def schedule(self, style: Style) -> SimpleNamespace:
        self.calls("schedule")
        return SimpleNamespace(strength=style.strength, steps=style.num_inference_steps)

    @torch.inference_mode()
    def noise(self, style: Style, size: Size) -> Tensor:
        self.calls("noise")
        generator = torch.Generator().manual_seed(style.seed)
        shape = (style.num_inference_steps, *self.latent_shape(size))
        return torch.randn(shape, generator=generator)

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        self.calls("encode")
        return torch.nn.functional.avg_pool2d(image, CELL_PX)  # (1, 3, H/8, W/8)

    @torch.inference_mode()
    def features(self, image: Tensor, noise: Tensor, conditioning: Tensor) -> Tensor | None:
        return None

    @torch.inference_mode()
    def denoise(
        self,
        latents: Tensor,
        noise: Tensor,
        conditioning: Tensor,
        schedule: SimpleNamespace,
        *,
        features: Tensor | None = None,
    ) -> Tensor:
        self.calls("denoise")
        for step in range(schedule.steps):
            latents = latents + schedule.strength * (0.2 * noise[step] + conditioning)
        return latents

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        self.calls("decode")
        return latents.repeat_interleave(CELL_PX, 2).repeat_interleave(CELL_PX, 3)

    @torch.inference_mode()
    def to_image(self, data: NDArray[np.uint8]) -> Tensor:
        self.calls("to_image")
        return torch.from_numpy(data.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1

    def to_data(self, image: Tensor) -> NDArray[np.uint8]:
        self.calls("to_data")
        pixels = ((image[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.permute(1, 2, 0).contiguous().numpy()

    def picture(self, latents: Tensor, cell_px: int | None = None) -> NDArray[np.uint8]:
        return self.to_data(self.decode(latents))

    def begin(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Tensor,
        schedule: SimpleNamespace,
        *,
        ahead: bool = False,
        cell_px: int | None = None,
    ) -> Callable[[], NDArray[np.uint8]]:
        self.calls("begin")
        painted = [
            self.to_data(
                self.decode(
                    self.denoise(self.encode(self.to_image(one)), noise, conditioning, schedule)
                )
            )
            for one in (data if data.ndim == 4 else data[None])
        ]
        return lambda: np.stack(painted) if data.ndim == 4 else painted[0]

    def warm_up(
        self, size: Size, batch: int = 1, *, ahead: bool = False, cell_px: int | None = None
    ) -> None:
        self.calls("warm_up")

    def in_flight(self, ahead: bool = False) -> int:
        return 0

    def close(self) -> None:
        self.is_closed = True


class SizesEngine(FakeEngine):
    """Each size but those that are ready has to be made, which takes until `made` is set.

    Attributes:
        ready: Sides of the sizes that are ready, (width, height).
        asked: Set when a size is being made.
        painted: The sizes of what was painted, in order; in one that is not ready is an error.
    """

    def __init__(self, *ready: Size) -> None:
        super().__init__()
        self.ready = set(ready)
        self.asked, self.made = threading.Event(), threading.Event()
        self.painted: list[Size] = []
        names = "predict", "decode", "stem", "exit"
        self.networks = SimpleNamespace(
            encode=self, exit_block=lambda cell: None, **dict.fromkeys(names)
        )

    def preparation(
        self, first: tuple[int, ...], *, scaled: bool = False
    ) -> Callable[[], object] | None:
        size = first[3], first[2]

        def make() -> None:
            self.asked.set()
            assert self.made.wait(LIMIT_S)
            self.ready.add(size)

        return None if size in self.ready else make

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        size = image.shape[3], image.shape[2]
        assert size in self.ready, f"{size} would have been waited for"
        self.painted.append(size)
        return super().encode(image)


class LateEngine(FakeEngine):
    """As a GPU is: what was begun is painted by the time that it is waited for, no sooner.

    Attributes:
        log: ``("begin", shape)`` and ``("wait", shape)``, in order.
    """

    def __init__(self, breaks: Breaks | None = None) -> None:
        super().__init__(breaks)
        self.log: list[tuple[str, tuple[int, ...]]] = []

    def begin(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Tensor,
        schedule: SimpleNamespace,
        *,
        ahead: bool = False,
        cell_px: int | None = None,
    ) -> Callable[[], NDArray[np.uint8]]:
        given = data.copy()
        self.log.append(("begin", data.shape))

        def wait() -> NDArray[np.uint8]:
            self.log.append(("wait", data.shape))
            return FakeEngine.begin(self, given, noise, conditioning, schedule)()

        return wait

    def in_flight(self, ahead: bool = False) -> int:
        return 1


class ListSource(Source):
    """Gives the frames of a list."""

    def __init__(
        self,
        frames: Iterable[Frame],
        breaks: Breaks | None = None,
        *,
        before_read: Callable[[], None] = lambda: None,
    ) -> None:
        self._frames = list(frames)
        self._next = 0
        size = self._frames[0].size if self._frames else (1, 1)
        self.info = VideoInfo(size=size, time_base=Fraction(1, 30), rate=Fraction(30))
        self.notes = ["read from a list"]
        self.calls = breaks or Breaks()
        self.before_read = before_read
        self.closed = 0

    def read(self) -> Frame | None:
        self.before_read()
        self.calls("read")
        if self._next == len(self._frames):
            return None
        self._next += 1
        return self._frames[self._next - 1]

    def close(self) -> None:
        self.closed += 1
        self.calls("close")


class ListSink(Sink):
    """Keeps what it is given, and how it was ended."""

    def __init__(
        self, breaks: Breaks | None = None, *, on_write: Callable[[], None] = lambda: None
    ) -> None:
        self.frames: list[Frame] = []
        self.notes = []
        self.calls = breaks or Breaks()
        self.on_write = on_write
        self.ended: list[str] = []

    def write(self, frame: Frame) -> None:
        self.on_write()
        self.calls("write")
        self.frames.append(frame)

    def close(self) -> None:
        self.ended.append("close")
        self.notes.append("kept in a list")
        self.calls("close")

    def abort(self) -> None:
        self.ended.append("abort")
        self.calls("abort")


class MainThreadSink(ListSink):
    """A sink of the kind that a window is."""

    main_thread = True


def make_frames(count: int, size: Size = (64, 48), seed: int = 0) -> list[Frame]:
    """Frames of smooth noise, each other than the next, at 30 a second."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (count, -(-size[1] // 8), -(-size[0] // 8), 3), np.uint8)
    data = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, : size[1], : size[0]]
    return [
        Frame(np.ascontiguousarray(data[index]), index, Fraction(1, 30), 1)
        for index in range(count)
    ]


def make_session(
    source: ListSource | None = None,
    engine: FakeEngine | None = None,
    sink: ListSink | None = None,
    **options: object,
) -> tuple[Session, ListSource, ListSink]:
    source = source or ListSource(make_frames(COUNT))
    sink = sink or ListSink()
    stylizer = Stylizer(engine or FakeEngine(), stability=0)
    return Session(source, stylizer, sink, join_limit_s=LIMIT_S, **options), source, sink
