"""Moving pictures whose motion is known exactly: what `stability.py` measures on.

A view of 256x256 glides over a larger picture by an affine map A_t (view to canvas), so that pixel
p of frame t was at inv(A_{t-1}) A_t p one frame before: flow and occlusion are true, not estimated.
Sensor noise is added after the warp; the clean pictures are kept for the metric's floor. The
canvases are frames of the shipped clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]
Affine = NDArray[np.float64]

CLIPS = Path(__file__).resolve().parent.parent / "examples" / "clips"
SIDE_PX = 256
RATE = 30
NOISE = 2.0
"""Standard deviation of the sensor noise, in levels."""

MARGIN_PX = 6
"""What is this near to the border, now or a frame before, is not judged."""

TRUTH = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
"""Where the truth has to be estimated: the least warp error of the input."""

UNBIASED = cv2.DISOPTICAL_FLOW_PRESET_FAST
"""Where motion is measured: the medium preset reads 0.3 px as 0.37."""

SPRITE_PX = 64
SPRITE_SPEED_PX = 6.2


@dataclass(frozen=True)
class Clip:
    """A sequence and what is true of it.

    Attributes:
        flows: For each frame, where each pixel was one frame before, relative: (H, W, 2); ``None``
            where there is no such thing (first frame, cut, light that changes).
        valid: For each frame, the pixels whose flow holds; ``None`` with the flow.
        clean: The pictures without sensor noise.
        is_moving: Counts for the relative flicker.
        still: Pixels that show the same thing for the whole sequence.
        event: Frame at which the scene or the prompt changes for good, for the step response.
        prompt_changes: At `event`.
        returns: Pairs (frame, earlier frame) that show the same thing again.
        twin: The same sequence without its sprite, and where the sprite was, for ghosts.
    """

    name: str
    pictures: list[Picture]
    flows: list[Flow | None]
    valid: list[Mask | None]
    clean: list[Picture]
    is_moving: bool = False
    still: Mask | None = None
    event: int | None = None
    prompt_changes: bool = False
    returns: list[tuple[int, int]] = field(default_factory=list)
    twin: "Clip | None" = None
    sprites: list[Mask] = field(default_factory=list)
    rate: int = RATE


def canvases() -> tuple[Picture, Picture]:
    """Two pictures of about 700x400 with detail: one drawn, one filmed."""
    drawn, filmed = frames_of("bunny.mp4", 60), frames_of("face.mp4", 1)
    return (
        cv2.resize(drawn[-1], (704, 396), interpolation=cv2.INTER_CUBIC),
        cv2.resize(filmed[0], (704, 528), interpolation=cv2.INTER_CUBIC),
    )


def frames_of(name: str, count: int) -> list[Picture]:
    with av.open(str(CLIPS / name)) as container:
        frames = islice(container.decode(video=0), count)
        return [frame.to_ndarray(format="rgb24") for frame in frames]


def noisy(picture: Picture, sigma: float, seed: int) -> Picture:
    grain = np.random.default_rng(seed).standard_normal(picture.shape, np.float32)
    return np.clip(picture + np.float32(sigma) * grain, 0, 255).round().astype(np.uint8)


def glide(
    x_px: float = 0, y_px: float = 0, zoom: float = 1, degrees: float = 0, at: tuple = (90, 70)
) -> Affine:
    """View pixel to canvas pixel, as a 3x3 matrix: rotation and zoom about the view's middle."""
    half = SIDE_PX / 2
    turn = np.deg2rad(degrees)
    cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
    shift = np.array([half + at[0] + x_px, half + at[1] + y_px])
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.vstack(
        [np.column_stack([linear, shift - linear @ np.array([half, half])]), [0, 0, 1]]
    )


def view(canvas: Picture, affine: Affine) -> Picture:
    return cv2.warpAffine(
        canvas,
        affine[:2],
        (SIDE_PX, SIDE_PX),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def positions() -> tuple[Flow, Flow]:
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    return x, y


def affine_flow(now: Affine, then: Affine) -> Flow:
    """w with p of `now` at p + w(p) of `then`."""
    matrix = np.linalg.inv(then) @ now
    x, y = positions()
    return np.stack(
        [
            matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] - x,
            matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] - y,
        ],
        axis=-1,
    ).astype(np.float32)


def inside(flow: Flow) -> Mask:
    """Pixels whose place is well inside the picture, now and a frame before."""
    x, y = positions()
    ok = np.ones(flow.shape[:2], bool)
    for at_x, at_y in ((x, y), (x + flow[..., 0], y + flow[..., 1])):
        for at in (at_x, at_y):
            ok &= (at >= MARGIN_PX) & (at <= SIDE_PX - 1 - MARGIN_PX)
    return ok


def clip_of(
    name: str, canvas: Picture, path: Sequence[Affine], *, sigma: float = NOISE, **rest: object
) -> Clip:
    """A view that follows `path` over a canvas."""
    clean = [view(canvas, affine) for affine in path]
    flows: list[Flow | None] = [None] + [affine_flow(now, then) for then, now in pairwise(path)]
    clip = Clip(
        name,
        [noisy(picture, sigma, seed) for seed, picture in enumerate(clean)],
        flows,
        [None if flow is None else inside(flow) for flow in flows],
        clean,
    )
    return replace(clip, **rest)


def with_light(clip: Clip, light: Callable[[int], NDArray], **rest: object) -> Clip:
    """The clip under a light (a factor a pixel or channel) that changes with the frame."""
    clean = [
        np.clip(picture * light(index), 0, 255).round().astype(np.uint8)
        for index, picture in enumerate(clip.clean)
    ]
    pictures = [noisy(picture, NOISE, seed) for seed, picture in enumerate(clean)]
    return replace(clip, pictures=pictures, clean=clean, **rest)


def sprite_clip(name: str, ground: Clip, sprite: Picture, xs: Sequence[float]) -> Clip:
    """A square that moves to the right before a still clip; truth behind it included."""
    x, y = positions()
    top = (SIDE_PX - SPRITE_PX) // 2
    pictures, masks, clean = [], [], []
    for index, left in enumerate(xs):
        shift = np.float64([[1, 0, left], [0, 1, top]])
        size = (SIDE_PX, SIDE_PX)
        mask = (x >= left) & (x <= left + SPRITE_PX - 1) & (y >= top) & (y < top + SPRITE_PX)
        painted = cv2.warpAffine(
            sprite, shift, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        clean.append(np.where(mask[..., None], painted, ground.clean[index]))
        pictures.append(noisy(clean[-1], NOISE, index))
        masks.append(mask)
    flows: list[Flow | None] = [None]
    valid: list[Mask | None] = [None]
    for index in range(1, len(xs)):
        flow = np.zeros((SIDE_PX, SIDE_PX, 2), np.float32)
        flow[masks[index], 0] = xs[index - 1] - xs[index]
        edge = grown(masks[index], 3) & ~shrunk(masks[index], 3)
        uncovered = grown(masks[index - 1], 3) & ~masks[index]
        flows.append(flow)
        valid.append(inside(flow) & ~edge & ~uncovered)
    touched = np.logical_or.reduce([grown(mask, 40) for mask in masks])
    return replace(
        ground,
        name=name,
        pictures=pictures,
        clean=clean,
        flows=flows,
        valid=valid,
        sprites=masks,
        twin=ground,
        still=~touched,
        is_moving=True,
    )


def grown(mask: Mask, by_px: int) -> Mask:
    kernel = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def shrunk(mask: Mask, by_px: int) -> Mask:
    return ~grown(~mask, by_px)


def joined(name: str, *parts: Clip, **rest: object) -> Clip:
    """Clips one after the other, hard cuts between them."""
    joint = Clip(
        name,
        [picture for part in parts for picture in part.pictures],
        [flow for part in parts for flow in part.flows],
        [valid for part in parts for valid in part.valid],
        [picture for part in parts for picture in part.clean],
    )
    return replace(joint, **rest)


def recoded(clip: Clip, crf: int) -> list[Picture]:
    """What H.264 makes of a clip."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=clip.rate)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast", "g": "12"}
        for index, picture in enumerate(clip.pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, clip.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def moving_clips(a: Picture, b: Picture, count: int) -> list[Clip]:
    """The sequences that the relative flicker is averaged over (with the real ones)."""
    random = np.random.default_rng(5)
    shakes = random.uniform(-0.3, 0.3, (count, 2))
    ends = range(count)
    xs = [10.3 + SPRITE_SPEED_PX * index for index in ends]
    third = count // 3
    pauses = [10.3 + SPRITE_SPEED_PX * (min(i, third) + max(0, i - 2 * third)) for i in ends]
    ground = clip_of("ground", a, [glide()] * count)
    sprite = cv2.resize(b[120:376, 220:476], (SPRITE_PX, SPRITE_PX), interpolation=cv2.INTER_AREA)
    return [
        clip_of("pan 0.4", a, [glide(0.4 * i) for i in ends], is_moving=True),
        clip_of("pan 3.3", a, [glide(3.3 * i) for i in ends], is_moving=True),
        clip_of("pan 12", a, [glide(12 * _bounce(i), at=(4, 70)) for i in ends], is_moving=True),
        clip_of("pan 3.3 face", b, [glide(2.6 * i, 2.0 * i) for i in ends], is_moving=True),
        clip_of("jitter", a, [glide(*shake) for shake in shakes], is_moving=True),
        clip_of("zoom + turn", a, [glide(60, 0, 1.006**i, 0.3 * i) for i in ends], is_moving=True),
        sprite_clip("sprite", ground, sprite, xs),
        sprite_clip("stop and go", ground, sprite, pauses),
    ]


def _bounce(index: int, length: int = 29) -> int:
    """There and back again."""
    place = index % (2 * length)
    return place if place < length else 2 * length - place


def still_clips(a: Picture, count: int) -> list[Clip]:
    """A camera on a tripod: nothing but noise changes."""
    everything = np.ones((SIDE_PX, SIDE_PX), bool)
    path = [glide()] * count
    static = clip_of("static", a, path, still=everything)
    return [
        static,
        clip_of("static, noise 6", a, path, sigma=6, still=everything),
        replace(static, name="static, codec", pictures=recoded(static, 28)),
    ]


def light_clips(a: Picture, count: int) -> list[Clip]:
    """The light changes and nothing moves: exposure, colour temperature, a lamp that wanders."""
    path, last = [glide()] * count, count - 1
    static = clip_of("static", a, path)
    x, y = positions()

    def warmth(index: int) -> NDArray:
        by = 0.12 * index / last
        return np.array([1 + by, 1, 1 - by])

    def lamp(index: int) -> NDArray:
        far = (x - 255 * index / last) ** 2 + (y - 128) ** 2
        return (0.7 + 0.5 * np.exp(-far / (2 * 45**2)))[..., None]

    return [
        with_light(static, lambda i: np.array(0.7 + 0.6 * i / last), name="exposure"),
        with_light(static, warmth, name="warmer light"),
        with_light(static, lamp, name="light spot"),
    ]


def event_clips(a: Picture, b: Picture, count: int) -> list[Clip]:
    """What happens at once, and what comes back."""
    half = count // 2
    at_a = clip_of("", a, [glide()] * count)
    slow_a = clip_of("", a, [glide(0.4 * i) for i in range(half)])
    slow_b = clip_of("", b, [glide(0.4 * i) for i in range(count - half)])
    short_b = clip_of("", b, [glide()] * 3)
    first, rest = _part(at_a, 0, half), _part(at_a, half, count)
    flash = with_light(at_a, lambda i: np.array(1.6 if i == half else 1.0), name="flash")
    fading = [max(0.0, 1 - 1.2 * i / (count - 1)) for i in range(count)]
    twice = [picture for picture in slow_a.pictures for _ in range(2)]
    return [
        joined("cut A|B", slow_a, slow_b, event=half),
        joined("A|B|A", first, short_b, rest, returns=[(half + 3, half - 1)]),
        replace(flash, returns=[(half + 1, half - 1)]),
        replace(at_a, name="prompt switch", event=half, prompt_changes=True),
        _dissolve(at_a, clip_of("", b, [glide()] * count)),
        with_light(at_a, lambda i: np.array(fading[i]), name="fade to black"),
        Clip("frames twice", twice, [None] * len(twice), [None] * len(twice), twice, rate=2 * RATE),
    ]


def _part(clip: Clip, start: int, stop: int) -> Clip:
    return Clip(
        clip.name,
        clip.pictures[start:stop],
        [None, *clip.flows[start + 1 : stop]],
        [None, *clip.valid[start + 1 : stop]],
        clip.clean[start:stop],
    )


def _dissolve(a: Clip, b: Clip) -> Clip:
    count = len(a.clean)
    start, length = count // 4, min(15, count // 2)
    shares = [min(1.0, max(0.0, (i - start) / length)) for i in range(count)]
    clean = [
        cv2.addWeighted(p, 1 - s, q, s, 0) for p, q, s in zip(a.clean, b.clean, shares, strict=True)
    ]
    none: list = [None] * count
    pictures = [noisy(picture, NOISE, seed) for seed, picture in enumerate(clean)]
    return Clip("dissolve", pictures, none, none, clean)


def real_clips(count: int) -> list[Clip]:
    """The shipped clips, with flow estimated from the input and checked both ways."""
    return [_real(name, count) for name in ("bunny.mp4", "face.mp4")]


def _real(name: str, count: int) -> Clip:
    pictures = []
    for frame in frames_of(name, count):
        side = min(frame.shape[:2])
        top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
        square = frame[top : top + side, left : left + side]
        pictures.append(cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))
    flows: list[Flow | None] = [None]
    valid: list[Mask | None] = [None]
    for then, now in pairwise(pictures):
        back, forth = (estimated_flow(*pair, TRUTH) for pair in ((now, then), (then, now)))
        x, y = positions()
        there = cv2.remap(forth, x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR)
        apart = np.square(back + there).sum(-1)
        size = np.square(back).sum(-1) + np.square(there).sum(-1)
        edge = sum(np.square(np.gradient(back[..., k])).sum(0) for k in (0, 1))
        moved = np.square(back).sum(-1)
        # Lai et al., ECCV 2018, section 3.3: forward-backward check and motion boundaries
        ok = (apart <= 0.01 * size + 0.5) & (edge <= 0.01 * moved + 0.002)
        flows.append(back)
        valid.append(ok & inside(back))
    return Clip(name, pictures, flows, valid, pictures, is_moving=True, rate=25)


def estimated_flow(now: Picture, then: Picture, preset: int = UNBIASED) -> Flow:
    """Backward flow by dense inverse search on luma."""
    dis = cv2.DISOpticalFlow.create(preset)
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (now, then)]
    return dis.calc(*gray, None)
