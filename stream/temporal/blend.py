"""Blend: mixes the last painted picture, warped to the current frame, with the new one. Pure.

    x~_t = a · W(x~_{t-1}, w) + (1 - a) · x_t,     a = confidence · exp(-dt / tau)

x_t is what the model made of frame t alone; W pulls the last shown picture along the flow w.
Pictures are blended, not latents: a latent position is a block of pixels, and moving it by a part
of a block is not what the decoder makes of a moved picture (figures in docs/stability.md). Two
guards follow: where the two paintings disagree by more than flicker the old one is dropped, and the
mixture is sharpened until it is as crisp as the painting that nothing was mixed into.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size
from stream.temporal.buffers import Buffers

Floats = NDArray[np.float32]
Data = NDArray[np.uint8]

STABILITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
TIME_CONSTANTS_S = (0.0, 0.030, 0.060, 0.085, 0.110)
"""tau at each of the stabilities above; linear in between."""

FADE_SHARE = 0.15
"""The history fades to 1/e over a way of this share of the picture's short side: by then the flow
has erred, and the model paints the thing anew."""

AGREE_LEVELS, AGREE_SOFTNESS = 8.5, 8.0
"""Levels by which the mean of a cell's old and new paint may differ, and over which the old one's
weight falls to 1/e beyond: a colour that really changed, or a ghost."""

LEAST_LOSS, MOST_LOSS = 0.01, 0.5
"""Share of the contrast: a mixture that has lost less is left alone, and no more is given back in a
frame."""

FINE_PX = 5
"""Side of the box whose mean a pixel is compared with. It is what bilinear pulling blurs: larger
boxes ring, for the result is history again, and OpenCV takes thrice the time for them."""

UNSHARP_GAIN = 1.8
"""Giving a share of the fine contrast back raises it by half of that: much of it is coarser than
the box."""

BANDS_PX, SAMPLED_PX = 48, 12
"""Of so many rows, so many are looked at to tell how much contrast was lost."""

LEAST_WEIGHT = 0.1
"""Where the history counts less than this nothing was lost."""

NO_CONTRAST = 0.05
"""Levels of contrast that count as none: a ratio of nothings is 1."""


def check_stability(stability: float) -> float:
    """Return `stability`.

    Raises:
        ValueError: It is outside [0, 1].
    """
    if not 0 <= stability <= 1:
        raise ValueError(f"got stability={stability}, expected 0 to 1")
    return stability


def history_weight(dt_s: float, stability: float, memory: float = 1.0) -> float:
    """exp(-dt/tau): the share of the history that is left after `dt_s`, at any frame rate.

    Args:
        stability: 0 to 1; sets tau.
        memory: Factor on tau.
    """
    tau_s = memory * float(np.interp(stability, STABILITIES, TIME_CONSTANTS_S))
    return float(np.exp(-dt_s / tau_s)) if tau_s > 0 else 0.0


def faded(flow: Floats) -> Floats:
    """What is left of the history's weight after the way of this frame: (H, W) in (0, 1].

    Args:
        flow: (H, W, 2), in pixels of its own size.
    """
    way = np.sqrt(flow[..., 0] ** 2 + flow[..., 1] ** 2)
    way *= np.float32(-1 / (FADE_SHARE * min(way.shape)))
    return np.asarray(cv2.exp(way), dtype=np.float32)


def pulled(
    shown: Data,
    flow: Floats,
    buffers: Buffers | None = None,
    *,
    how: int = cv2.INTER_LINEAR,
    to: Size | None = None,
    at: tuple[int, int] = (0, 0),
) -> Data:
    """The picture (H, W, 3), or a part of it, moved along a backward flow of a reduced size.

    Bilinear, in a sixth of the time of bicubic: what it blurs, `restore` gives back.

    Args:
        shown: uint8 RGB.
        flow: float32 (h, w, 2) of that part, in pixels of its own size.
        buffers: Where the result lies until the next call; fresh memory if not given.
        how: OpenCV's interpolation.
        to: (width, height) of the part; the whole picture's if not given.
        at: (x, y) of the part's first pixel.
    """
    buffers = buffers or Buffers()
    width, height = to or (shown.shape[1], shown.shape[0])
    x, y = (
        _grown(plane * np.float32(side / reduced), (width, height), name, buffers)
        for plane, side, reduced, name in zip(
            cv2.split(flow), (width, height), flow.shape[1::-1], "xy", strict=True
        )
    )
    x += np.arange(at[0], at[0] + width, dtype=np.float32)
    y += np.arange(at[1], at[1] + height, dtype=np.float32)[:, np.newaxis]
    # with a fourth channel OpenCV's bilinear remap takes half the time
    four = buffers.take("four", (*shown.shape[:2], 4), np.uint8)
    moved = buffers.take("moved", (height, width, 4), np.uint8)
    cv2.cvtColor(shown, cv2.COLOR_RGB2RGBA, four)
    cv2.remap(four, x, y, how, moved, cv2.BORDER_REPLICATE)
    old = buffers.take("old", (height, width, 3), np.uint8)
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB, old), dtype=np.uint8)


def agreement(old: Data, new: Data, grid: Size, levels: float = AGREE_LEVELS) -> Floats:
    """How much of the old paint may stay by its looks alone: (h, w) in [0, 1].

    Args:
        levels: What the means of a cell may differ by.
    """
    apart = cv2.absdiff(cell_colours(old, grid), cell_colours(new, grid))
    red, green, blue = cv2.split(apart)
    excess = np.maximum(np.arange(256) - levels, 0) / AGREE_SOFTNESS
    stays = np.exp(-np.square(excess)).astype(np.float32)
    return np.asarray(cv2.LUT(cv2.max(cv2.max(red, green), blue), stays), dtype=np.float32)


def cell_colours(data: Data, grid: Size) -> Data:
    """Mean colour of every cell, uint8 (h, w, 3)."""
    height, width = data.shape[:2]
    while width % (2 * grid[0]) == 0 and height % (2 * grid[1]) == 0:  # halving is fast
        width, height = width // 2, height // 2
        data = np.asarray(cv2.resize(data, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(data, grid, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def blend(old: Data, new: Data, weight: Floats, buffers: Buffers | None = None) -> Data:
    """weight * old + (1 - weight) * new; exactly one of them where weight is 1 or 0.

    In whole levels, as new + weight * (old - new): half the time of floats, and what is equal in
    both stays.

    Args:
        old, new: uint8 (H, W, 3).
        weight: float32 (H/k, W/k) in [0, 1].
        buffers: For what lies between.
    """
    buffers = buffers or Buffers()
    size = new.shape[1], new.shape[0]
    share = buffers.take("share", new.shape[:2], np.uint8)
    cv2.resize(cv2.convertScaleAbs(weight, None, 255), size, share)
    shares, change = (buffers.take(name, new.shape, np.uint8) for name in ("shares", "change"))
    cv2.cvtColor(share, cv2.COLOR_GRAY2RGB, shares)
    cv2.multiply(cv2.subtract(old, new, change), shares, change, 1 / 255)
    mixed = cv2.add(new, change)
    cv2.multiply(cv2.subtract(new, old, change), shares, change, 1 / 255)
    return np.asarray(cv2.subtract(mixed, change, mixed), dtype=np.uint8)


def restore(
    mixed: Data, new: Data, weight: Floats, buffers: Buffers | None = None, most: float = MOST_LOSS
) -> None:
    """Give a mixture back, in place, the fine contrast of the new paint: averaging takes it away.

    All that has history in it is sharpened alike, by what it has lost as a whole: the mean of its
    loss of contrast (of the strokes) and of its root mean square (of the edges). A sixth of the
    rows tells of that.

    Args:
        mixed, new: uint8 (H, W, 3).
        weight: float32 (H/k, W/k), the history's share of the mixture.
        buffers: For what lies between.
        most: What of the contrast is given back at most.
    """
    buffers = buffers or Buffers()
    mask = buffers.take("mask", mixed.shape[:2], np.uint8)
    counts = cv2.inRange(weight, LEAST_WEIGHT, 1.0)
    is_whole = cv2.countNonZero(counts) == counts.size
    if is_whole:
        mask.fill(255)
    else:
        cv2.resize(counts, mask.shape[::-1], mask, interpolation=cv2.INTER_NEAREST)
    rows = np.flatnonzero(np.arange(len(mixed)) % BANDS_PX < SAMPLED_PX)
    sampled, place, edge = mask[rows], rows % BANDS_PX, FINE_PX // 2
    sampled[(place < edge) | (place >= SAMPLED_PX - edge)] = 0  # beside them lies another band
    wanted, got = (_contrasts(data[rows], sampled) for data in (new, mixed))
    pairs = zip(wanted, got, strict=True)
    loss = sum((a + NO_CONTRAST) / (b + NO_CONTRAST) - 1 for a, b in pairs) / 2
    more = min(UNSHARP_GAIN * loss, most)
    if more < LEAST_LOSS:
        return
    soft = buffers.take("soft", mixed.shape, np.uint8)
    cv2.blur(mixed, (FINE_PX, FINE_PX), soft)
    cv2.addWeighted(mixed, 1 + more, soft, -more, 0, mixed if is_whole else soft)
    if not is_whole:
        cv2.copyTo(soft, mask, mixed)


def _grown(values: Floats, size: Size, name: str, buffers: Buffers) -> Floats:
    """Values (h, w) at a larger `size`, in the buffer of that name."""
    large = buffers.take(name, size[::-1], np.float32)
    return np.asarray(cv2.resize(values, size, large), dtype=np.float32)


def _contrasts(data: Data, mask: Data) -> tuple[float, float]:
    """Mean and root mean square difference of the masked pixels from their surroundings."""
    soft = cv2.blur(data, (FINE_PX, FINE_PX))
    count = max(1, 3 * cv2.countNonZero(mask))
    squares = cv2.norm(data, soft, cv2.NORM_L2SQR, mask)
    return cv2.norm(data, soft, cv2.NORM_L1, mask) / count, (squares / count) ** 0.5
