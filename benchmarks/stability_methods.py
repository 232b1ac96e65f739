"""The ways to stabilise that `stability.py` compares: ours, what others do, and cheats.

All of them see the same frames through the same model with the same noise; the model's answers are
remembered, so that a frame is painted once however many ways are compared. Where a model paints
larger than its frames, its pictures are measured at the frames' size, where the true motion is
known: ours are stabilised at the size that is painted, as they are for users, and reduced after.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from stability_metrics import pulled
from stability_sequences import Clip, Picture
from torch import Tensor

from models import Engine, Remembered, Style
from stream import Frame, Stylizer

EMA_WEIGHT = 0.85
LATENT_EMA_WEIGHT = 0.79
BLUR_PX = 4.0
FLOW_BLEND_WEIGHT = 0.45
SIMILARITY = 0.98
LONGEST_SKIP = 10
CELL_PX = 8
OTHER_PROMPT = "comic"
"""What the prompt switches to."""


class RememberingEngine:
    """An engine that answers a question once: the same frame in the same style is looked up.

    Attributes:
        frames_painted: How often a painting was asked for, looked up or not.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.device = engine.name, engine.device
        self.default_style = engine.default_style
        self.native_size = engine.native_size
        self.size_multiple = engine.size_multiple
        self.output_scale = engine.output_scale
        self.cell_sizes = engine.cell_sizes[-1:]  # compared at their whole size
        self.carries_noise, self.loras = engine.carries_noise, engine.loras
        self.notes = engine.notes
        self.revision = engine.revision
        self.frames_painted = 0
        self._answers: dict[object, Any] = {}

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        return self.engine.latent_shape(size)

    def encode_prompt(self, style: Style) -> Any:
        key = ("prompt", style.prompt, style.guidance_scale)
        return self._answer(key, lambda: self.engine.encode_prompt(style))

    def schedule(self, style: Style) -> Any:
        key = ("schedule", style.num_inference_steps, style.strength)
        return self._answer(key, lambda: self.engine.schedule(style))

    def noise(self, style: Style, size: tuple[int, int]) -> Tensor:
        key = ("noise", style.num_inference_steps, style.seed, size)
        return self._answer(key, lambda: self.engine.noise(style, size))

    def paint(self, data: Picture, noise: Tensor, conditioning: Any, schedule: Any) -> Picture:
        """The picture at the size that is painted."""
        self.frames_painted += 1
        given = noise, conditioning, schedule
        key = ("picture", _key(data), _noise_key(noise), id(conditioning), id(schedule))
        return self._answer(key, lambda: self.decoded(self.predict(data, *given)))

    def in_flight(self, ahead: bool = False) -> int:
        return 1  # whole frames are looked up

    def begin(
        self,
        data: Picture,
        noise: Tensor,
        conditioning: Any,
        schedule: Any,
        *,
        remembered: Remembered | None = None,
        **_: object,
    ) -> Callable[[], Picture]:
        """As `Engine.begin`: what gives the picture, which is there already."""
        if remembered is not None:  # the device's history makes each painting another
            self.frames_painted += 1
            given = noise, conditioning, schedule
            return self.engine.begin(data, *given, remembered=remembered)
        painted = self.paint(data, noise, conditioning, schedule)
        return lambda: painted

    def predict(self, data: Picture, noise: Tensor, conditioning: Any, schedule: Any) -> Tensor:
        """The latents that the model makes of a frame."""
        engine = self.engine

        def made() -> Tensor:
            features = engine.features(engine.to_image(data), noise, conditioning)
            return engine.denoise(
                self.latents(data), noise, conditioning, schedule, features=features
            )

        key = ("latents", _key(data), _noise_key(noise), id(conditioning), id(schedule))
        return self._answer(key, made)

    def latents(self, data: Picture) -> Tensor:
        """The frame's own latents."""
        return self.engine.encode(self.engine.to_image(data))

    def decoded(self, latents: Tensor) -> Picture:
        """The picture of latents, at the size that is painted."""
        return self.engine.to_data(self.engine.decode(latents))

    def shown(self, latents: Tensor) -> Picture:
        """The same at the size of the frame."""
        return reduced(self.decoded(latents), self.output_scale)

    def _answer(self, key: object, make: Callable[[], Any]) -> Any:
        if key not in self._answers:
            self._answers[key] = make()
        return self._answers[key]


def _key(data: Picture) -> object:
    return data.shape, hash(data.tobytes())


def _noise_key(noise: Tensor) -> object:
    """By content: noise that moves along is another tensor in every frame."""
    return _key(noise.cpu().numpy())


def reduced(picture: Picture, scale: int) -> Picture:
    """A picture `scale` times the frame's sides, at the frame's size: means of its pixels."""
    if scale == 1:
        return picture
    size = picture.shape[1] // scale, picture.shape[0] // scale
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def styles(clip: Clip, style: Style) -> list[Style]:
    """The style of each frame."""
    other = Style(
        OTHER_PROMPT, style.strength, style.num_inference_steps, style.guidance_scale, style.seed
    )
    changes = clip.event if clip.prompt_changes else None
    return [
        other if changes is not None and index >= changes else style
        for index in range(len(clip.pictures))
    ]


def ours(
    engine: RememberingEngine, clip: Clip, style: Style, stability: float, **future: Any
) -> list[Picture]:
    """Through the stylizer; stability 0 is the per-frame run that all others start from.

    Args:
        future: `look_ahead`, `every`, `blend` and `temporal` of the stylizer.
    """
    stylizer = Stylizer(
        engine,  # type: ignore[arg-type]
        style,
        short_side_px=min(clip.pictures[0].shape[:2]),
        output_size="model",
        stability=stability,
        **{"blend": "picture", **future},
    )
    painted = []
    for index, (data, now) in enumerate(zip(clip.pictures, styles(clip, style), strict=True)):
        stylizer.style = now
        painted += stylizer.process(Frame(data, index, Fraction(1, clip.rate), 1))
    painted += stylizer.process(None)
    return [reduced(frame.data, engine.output_scale) for frame in painted]


def freeze(base: list[Picture]) -> list[Picture]:
    return [base[0]] * len(base)


def blur(base: list[Picture]) -> list[Picture]:
    return [cv2.GaussianBlur(picture, (0, 0), BLUR_PX) for picture in base]


def average(base: list[Picture]) -> list[Picture]:
    shown = base[0].astype(np.float32)
    painted = []
    for picture in base:
        shown = EMA_WEIGHT * shown + (1 - EMA_WEIGHT) * picture
        painted.append(shown.round().astype(np.uint8))
    return painted


def latent_average(engine: RememberingEngine, clip: Clip, style: Style) -> list[Picture]:
    """Plain average of the predicted latents."""
    shown: Tensor | None = None
    painted = []
    for x0 in predictions(engine, clip, style):
        shown = x0 if shown is None else torch.lerp(x0, shown, LATENT_EMA_WEIGHT)
        painted.append(engine.shown(shown))
    return painted


def latent_flow(engine: RememberingEngine, clip: Clip, style: Style) -> list[Picture]:
    """The average along the motion: history warped at 1/8, bicubic, no confidence."""
    shown: Tensor | None = None
    painted = []
    for index, x0 in enumerate(predictions(engine, clip, style)):
        if shown is not None:
            flow = farneback(clip.pictures[index], clip.pictures[index - 1])
            small = cv2.resize(flow, x0.shape[:1:-1], interpolation=cv2.INTER_AREA)
            shown = torch.lerp(x0, _warped(shown, small), LATENT_EMA_WEIGHT)
        else:
            shown = x0
        painted.append(engine.shown(shown))
    return painted


def _warped(latents: Tensor, flow_px: NDArray[np.float32]) -> Tensor:
    """Latents (1, C, h, w) pulled along a flow (h, w, 2) in pixels."""
    height, width = latents.shape[2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    at = np.stack(
        [
            (x + flow_px[..., 0] / CELL_PX + 0.5) * 2 / width - 1,
            (y + flow_px[..., 1] / CELL_PX + 0.5) * 2 / height - 1,
        ],
        axis=-1,
    )
    grid = torch.from_numpy(at.astype(np.float32))[None].to(latents)
    return torch.nn.functional.grid_sample(
        latents, grid, mode="bicubic", padding_mode="border", align_corners=False
    )


def predictions(engine: RememberingEngine, clip: Clip, style: Style) -> list[Tensor]:
    """The latents of every frame, each painted for itself."""
    return [
        engine.predict(data, *asked(engine, now, data))
        for data, now in zip(clip.pictures, styles(clip, style), strict=True)
    ]


def asked(engine: RememberingEngine, style: Style, data: Picture) -> tuple[Tensor, Any, Any]:
    """Noise, conditioning and schedule of a style."""
    noise = engine.noise(style, (data.shape[1], data.shape[0]))
    return noise, engine.encode_prompt(style), engine.schedule(style)


def similarity_filter(base: list[Picture], clip: Clip) -> list[Picture]:
    """Skip whole frames that resemble the last painted one, by chance (StreamDiffusion,
    arXiv 2312.12491, section 3.5); seeded here.
    """
    random = np.random.default_rng(0)
    shown, seen, skipped = base[0], clip.pictures[0], 0
    painted = []
    for picture, data in zip(base, clip.pictures, strict=True):
        a, b = data.astype(np.float32).ravel(), seen.astype(np.float32).ravel()
        alike = float(a @ b / max(1e-6, float(np.linalg.norm(a) * np.linalg.norm(b))))
        chance = max(0.0, 1 - (1 - alike) / (1 - SIMILARITY))
        if random.random() < chance and skipped < LONGEST_SKIP:
            skipped += 1
        else:
            shown, seen, skipped = picture, data, 0
        painted.append(shown)
    return painted


def farneback(now: Picture, then: Picture) -> NDArray[np.float32]:
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, then)]
    return cv2.calcOpticalFlowFarneback(*gray, None, 0.5, 3, 15, 3, 5, 1.2, 0)


def flow_blend(base: list[Picture], clip: Clip) -> list[Picture]:
    """The last output, moved along the input's flow, mixed in with one weight everywhere."""
    shown = base[0].astype(np.float32)
    painted = [base[0]]
    for index in range(1, len(base)):
        flow = farneback(clip.pictures[index], clip.pictures[index - 1])
        shown = base[index] + FLOW_BLEND_WEIGHT * (pulled(shown, flow) - base[index])
        painted.append(np.clip(shown, 0, 255).round().astype(np.uint8))
    return painted
