"""Restyler: frames as NumPy arrays through one model, singly or as a stream. Starts no thread."""

import threading
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from weakref import WeakKeyDictionary

from allaprima.frame_stream import FrameStream
from allaprima.options import (
    KINDS,
    Compile,
    Mask,
    OutputSize,
    StylePicture,
    changed,
    check_rest,
    check_stability,
    make_images,
    make_region,
    next_time,
    positive,
)
from allaprima.painted_stream import PaintedStream, Picture

if TYPE_CHECKING:
    from models import Blend, Engine, StyleImage
    from stream import Stylizer
    from stream.stylizer.regions import Region

DEFAULT_FPS = 24.0


class Restyler:
    """Restyles the frames of one stream. A context manager.

    Call it with a frame to have that frame painted at once, or give `stream` a whole sequence,
    which is faster. Frames follow one another in time: with `stability` above 0 a painted frame
    depends on those before it. Frames that have nothing to do with each other want stability 0.

    Frames are painted in one thread, the one that made the object: the model is not thread-safe.
    The properties (`prompt`, `strength`, `steps`, `guidance`, `seed`, `stability`, `mask`,
    `style_images`, `image_mix`, `image_weight`, `structure_weight`) may be set from any thread at
    any time, and hold from the next frame on.

    The first frame of each size takes longer, while buffers are made and kernels are chosen.

    Args:
        prompt: What to paint, such as ``"oil painting"``; several with weights are mixed, as in
            ``"oil painting:0.7 | ink:0.3"``. ``None`` here and below takes the model's default.
        strength: How far from the frame, above 0 to 1.
        steps: Denoising steps a frame, 1 to 8; each costs about one run of the UNet.
        guidance: Guidance scale, 1 to 30, for models that take one.
        seed: Of the fixed noise, 0 or more.
        stability: How much a painted frame keeps of the one before, 0 (nothing) to 1.
        mask: Where the painting shows, and elsewhere the frame: ``"person"``, ``"background"``, the
            path of a picture or film, or an array, uint8 (H, W), 255 for the painting; ``None``
            paints everywhere.
        style_images: Pictures to paint in the manner of, by an IP-Adapter (SD 1.5, SDXL): paths,
            each with ``:weight`` behind it if need be, arrays, uint8 RGB (H, W, 3), or
            `models.StyleImage`.
        image_mix: Which of them count, by name, as in ``"sea:0.7 | ink:0.3"``; ``""`` all.
        image_weight: How much they count, 0 to 2.
        structures: What to hold to, ``"canny"``, ``"lineart"``, ``"depth"`` or ``"tile"``, as
            ``--structure`` takes it (SD 1.5, SDXL).
        structure_weight: How closely, 0 to 2.
        ip_adapter: What reads the pictures: a file; ``True`` is the known one, for pictures that
            are set later.
        depth_model: What finds depth; ``None`` is the known one.
        blend: Where stability is blended in: ``"picture"`` (on the host), ``"latent"`` (where the
            model runs), ``"both"``, or ``"auto"``, the better measured one.
        size: Short side in pixels at which the model paints; rounded to what the model allows.
        output_size: ``"source"`` gives frames back at the size they came in, ``"model"`` at the
            size they were painted at, (width, height) at that size.
        fps: Frames a second, for frames that come without a time.
        model: A preset's name (`models.PRESETS`), a folder or .safetensors file, a hub id, or an
            engine that `models.load_engine` gave; such an engine may be shared, and is not closed.
        loras: Names or paths of LoRAs to fuse, each with ``:weight`` behind it if need be.
        vae: Another autoencoder.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; ``None`` takes the best there is.
        compile: On CUDA, when faster kernels are compiled: ``"auto"``, ``"now"`` or ``"off"``.
        offline: Ask no model hub.

    Raises:
        ValueError: A value is outside its range, or the prompt makes no sense.
        ModelError: The model cannot be found, loaded or run (`models.ModelError`).
    """

    def __init__(
        self,
        prompt: str | None = None,
        *,
        strength: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = None,
        stability: float = 0.5,
        mask: Mask | None = None,
        style_images: Sequence[StylePicture] = (),
        image_mix: str | None = None,
        image_weight: float | None = None,
        structures: Sequence[str] = (),
        structure_weight: float | None = None,
        ip_adapter: str | bool = False,
        depth_model: str | None = None,
        blend: "Blend" = "auto",
        size: int | None = None,
        output_size: OutputSize = "source",
        fps: float = DEFAULT_FPS,
        model: "str | PathLike[str] | Engine" = "bundled",
        loras: Sequence[str] = (),
        vae: str | None = None,
        device: str | None = None,
        compile: Compile = "auto",
        offline: bool = False,
    ) -> None:
        asked = {name: value for name, value in locals().items() if name in KINDS}
        from models import Style
        from stream import Stats

        self._frame_s = 1 / positive("fps", fps)
        asked["images"] = make_images(style_images)
        changed(Style(), asked)  # refuses what is wrong before a model is loaded in vain
        check_stability(stability)
        check_rest(blend, size, output_size)
        _close(make_region(mask))
        self._options: dict[str, Any] = {"short_side_px": size, "output_size": output_size}
        self._options["blend"] = blend
        self._owns_engine = isinstance(model, (str, PathLike))
        self._engine = _loaded(
            model,
            loras=loras,
            vae=vae,
            device=device,
            compile=compile,
            offline=offline,
            image_adapter=ip_adapter or bool(style_images),
            structures=structures,
            depth_model=depth_model,
        )
        self._style = changed(self._engine.default_style, asked)
        self._engine.encode_prompt(self._style)
        self._stability, self._mask = stability, mask
        self._regions: _Regions = WeakKeyDictionary()
        self._stats = Stats()
        self._changing = threading.Lock()
        self._stream: FrameStream | None = None
        self._closed = False

    def __call__(self, frame: Picture, *, time_s: float | None = None) -> Picture:
        """Paint one frame and wait for it.

        Args:
            frame: uint8 RGB, shape (H, W, 3); it is not written to, and may be reused afterwards.
            time_s: When it is shown, in seconds; ``None`` counts on by 1 / fps. A pause of more
                than a second begins a new scene.

        Returns:
            uint8 RGB, shape (H, W, 3) at the output size; a new array that the caller may change.

        Raises:
            TypeError: `frame` is no NumPy array.
            ValueError: Its dtype, shape or size cannot be used; its size is not that of the frames
                before it (call `reset` between).
            ModelError: The model failed (`models.ModelError`).
            RuntimeError: The restyler is closed.
        """
        if self._stream is None:
            self._stream = self._opened()
        (painted,) = self._stream.push(frame, time_s)
        return painted

    def stream(
        self,
        frames: Iterable[Picture],
        *,
        times_s: Iterable[float] | None = None,
        look_ahead: bool = False,
        every: int = 1,
        batch: int = 1,
    ) -> PaintedStream:
        """Paint a whole stream: one painted frame for each frame, in order.

        Several frames are in work at a time, so that this is faster than single calls; a frame
        comes back when a few more have been taken from `frames`. It is a stream of its own, which
        shares only model and style with single calls and other streams. As a context manager it
        gives what is held back even after a Ctrl-C (see `PaintedStream`).

        Args:
            frames: As for a call; taken one by one, when the next painted frame is asked for.
            times_s: When each frame is shown, in seconds, rising; ``None`` counts on by 1 / fps.
            look_ahead: Smooth each frame by those after it as well, which holds more of them back.
            every: Paint one frame in so many; the others are interpolated.
            batch: Paint so many frames in one call of the model: faster on a GPU, more memory.

        Raises:
            ValueError: `every` or `batch` is below 1, or `times_s` ends before `frames`.
            TypeError, ValueError, ModelError, RuntimeError: As for a call.
        """
        options = {"look_ahead": look_ahead, "every": every, "batch": batch, "overlap": True}
        stream = self._opened(**options)
        times = None if times_s is None else iter(times_s)

        def push(frame: Picture) -> list[Picture]:
            return stream.push(frame, None if times is None else next_time(times))

        return PaintedStream(push, stream.finish, frames)

    @property
    def prompt(self) -> str:
        """What is painted."""
        return self._style.prompt

    @prompt.setter
    def prompt(self, prompt: str) -> None:
        self._change("prompt", prompt)

    @property
    def strength(self) -> float:
        """How far from the frame, above 0 to 1."""
        return self._style.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._change("strength", strength)

    @property
    def steps(self) -> int:
        """Denoising steps a frame, 1 to 8."""
        return self._style.num_inference_steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._change("steps", steps)

    @property
    def guidance(self) -> float:
        """Guidance scale, 1 to 30; ignored by models that take none."""
        return self._style.guidance_scale

    @guidance.setter
    def guidance(self, guidance: float) -> None:
        self._change("guidance", guidance)

    @property
    def seed(self) -> int:
        """Of the fixed noise, 0 or more."""
        return self._style.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._change("seed", seed)

    @property
    def stability(self) -> float:
        """How much a painted frame keeps of the one before, 0 to 1."""
        return self._stability

    @stability.setter
    def stability(self, stability: float) -> None:
        check_stability(stability)
        self._stability = stability

    @property
    def mask(self) -> Mask | None:
        """Where the painting shows; ``None`` for everywhere."""
        return self._mask

    @mask.setter
    def mask(self, mask: Mask | None) -> None:
        _close(make_region(mask))  # refuses what is wrong
        self._mask = mask

    @property
    def style_images(self) -> "tuple[StyleImage, ...]":
        """Pictures to paint in the manner of; set to a list of paths, arrays or `StyleImage`."""
        return self._style.images

    @style_images.setter
    def style_images(self, pictures: Sequence[StylePicture]) -> None:
        images = make_images(pictures)
        if images and self._engine.image_encoder is None:
            raise ValueError("got style_images, expected a restyler that was made with ip_adapter")
        self._change("images", images)

    @property
    def image_mix(self) -> str:
        """Which of the pictures count, by name; ``""`` for all."""
        return self._style.image_mix

    @image_mix.setter
    def image_mix(self, image_mix: str) -> None:
        self._change("image_mix", image_mix)

    @property
    def image_weight(self) -> float:
        """How much the pictures count, 0 to 2."""
        return self._style.image_weight

    @image_weight.setter
    def image_weight(self, weight: float) -> None:
        self._change("image_weight", weight)

    @property
    def structure_weight(self) -> float:
        """How closely structure networks hold to the frame, 0 to 2."""
        return self._style.structure_weight

    @structure_weight.setter
    def structure_weight(self, weight: float) -> None:
        self._change("structure_weight", weight)

    @property
    def notes(self) -> list[str]:
        """What the model runs on, assumed, raised or ignored: sentences, each once; it grows."""
        return list(dict.fromkeys([*self._engine.notes, *self._stats.notes]))

    def reset(self) -> None:
        """Forget the frames of the single calls: the next one may have any size."""
        self._stream = None

    def close(self) -> None:
        """End what runs beside the model (a compiler). May be called twice.

        Streams that have not come to their end go no further.
        """
        self._closed, self._stream = True, None
        if self._owns_engine:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _change(self, name: str, value: Any) -> None:
        with self._changing:
            self._style = changed(self._style, {name: value})

    def _opened(self, **options: Any) -> FrameStream:
        from stream import Stylizer

        self._check_open()
        stylizer = Stylizer(
            self._engine, self._style, stats=self._stats, **self._options, **options
        )
        return FrameStream(stylizer, self._frame_s, self._take_over)

    def _take_over(self, stylizer: "Stylizer") -> None:
        """Give a stream the style of now; before each of its frames."""
        self._check_open()
        stylizer.style, stylizer.stability = self._style, self._stability
        mask = self._mask
        if self._regions.get(stylizer, (None, None))[0] is not mask:
            _close(stylizer.region)
            self._regions[stylizer] = mask, make_region(mask)  # each stream remembers its own
            stylizer.region = self._regions[stylizer][1]

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this restyler is closed: make a new one")


_Regions: TypeAlias = "WeakKeyDictionary[Stylizer, tuple[Mask | None, Region | None]]"


def _loaded(model: "str | PathLike[str] | Engine", **options: Any) -> "Engine":
    from models import load_engine

    return load_engine(fspath(model), **options) if isinstance(model, (str, PathLike)) else model


def _close(region: "Region | None") -> None:
    if region is not None:
        region.close()
