"""What is measured on a painted sequence, each by its formula; no model and no drawing in here.

E_warp       squared warp error along the true motion, mean over valid pixels, values in [0, 1]
             (Lai et al., ECCV 2018, equation 3), bicubic: bilinear would favour blur
floor        E_warp of the clean input itself: interpolation and, in real clips, wrong flow
F            max(E(O) - k E(I), 0) / (E(O_base) - k E(I)), k = (contrast(O) / contrast(I))^2
bit-equal    share of the still pixels with the bytes of the frame before
gain         of motion: median of <w_out, w_true> / <w_true, w_true>; 1 follows, 0 sticks
lag          frames by which edges trail the input's, parabola-refined
T90          frames after a step until 90 % of the way to the per-frame result is gone
ghost        levels that differ, two frames after a sprite has left, from a run without it
sharpness    variance of the Laplacian against the per-frame run's
structure    correlation of blurred gradients with the input's
style        1 - SSIM(output, input) on luma
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from stability_sequences import Clip, Flow, Mask, Picture, estimated_flow, grown, positions

SETTLED_FRAMES = 10
"""Frames that a still scene is given to settle before equality is asked for."""

LONGEST_LAG = 4
SMOOTH_PX = 4.0
GHOST_AFTER = 2
PALETTE_BINS = 32
LEAST_MOTION_PX, LEAST_JUDGED = 0.2, 500
Floats = NDArray[np.float32]


def pulled(picture: NDArray, flow: Flow) -> NDArray:
    """The picture's value at p + w(p), bicubic."""
    x, y = positions()
    return cv2.remap(
        picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def warp_error(pictures: Sequence[Picture], clip: Clip) -> float:
    """E_warp: mean over the frames that have a true flow; nan where none has."""
    errors = []
    for index in range(1, len(pictures)):
        flow, valid = clip.flows[index], clip.valid[index]
        if flow is None or valid is None or not valid.any():
            continue
        then, now = (pictures[at].astype(np.float32) for at in (index - 1, index))
        squares = cv2.norm(now, pulled(then, flow), cv2.NORM_L2SQR, valid.view(np.uint8))
        errors.append(squares / (255**2 * 3 * np.count_nonzero(valid)))
    return float(np.mean(errors)) if errors else float("nan")


def relative_flicker(
    pictures: Sequence[Picture], base: Sequence[Picture], clip: Clip
) -> tuple[float, float]:
    """(E_warp, F)."""
    mine, theirs, floor = (warp_error(p, clip) for p in (pictures, base, clip.clean))
    kept = (contrast(pictures) / contrast(clip.clean)) ** 2
    kept_base = (contrast(base) / contrast(clip.clean)) ** 2
    room = theirs - kept_base * floor
    return mine, max(mine - kept * floor, 0) / room if room > 0 else float("nan")


def contrast(pictures: Sequence[Picture]) -> float:
    return float(np.mean([luma(picture).std() for picture in pictures]))


def bit_equal(pictures: Sequence[Picture], clip: Clip) -> float:
    """Share of the still pixels that keep their bytes from frame to frame, once settled."""
    if clip.still is None:
        return float("nan")
    settled = pictures[SETTLED_FRAMES:]
    return float(np.mean([(a == b).all(-1)[clip.still].mean() for a, b in pairwise(settled)]))


def motion_gain(pictures: Sequence[Picture], clip: Clip) -> float:
    return _raw_gain(pictures, clip) / _raw_gain(clip.clean, clip)


def _raw_gain(pictures: Sequence[Picture], clip: Clip) -> float:
    gains = []
    for index in range(1, len(pictures)):
        flow, valid = clip.flows[index], clip.valid[index]
        if flow is None or valid is None:
            continue
        squared = np.square(flow).sum(-1)
        judged = valid & (squared > LEAST_MOTION_PX**2)
        if judged.sum() < LEAST_JUDGED:
            continue
        seen = estimated_flow(pictures[index], pictures[index - 1])
        gains.append(np.median(((seen * flow).sum(-1) / np.maximum(squared, 1e-6))[judged]))
    return float(np.median(gains)) if gains else float("nan")


def luma(picture: Picture) -> Floats:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def gradients(picture: Picture) -> Floats:
    smooth = cv2.GaussianBlur(luma(picture), (0, 0), SMOOTH_PX)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)])


def correlation(a: Floats, b: Floats) -> float:
    size = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def lag(pictures: Sequence[Picture], clip: Clip) -> float:
    """Frames that the output's edges are behind the input's, 0 to 4; nan if nothing moves."""
    outs = [gradients(picture) for picture in pictures[LONGEST_LAG:]]
    ins = [gradients(picture) for picture in clip.clean]
    scores = [
        np.mean([correlation(out, ins[LONGEST_LAG + i - k]) for i, out in enumerate(outs)])
        for k in range(LONGEST_LAG + 1)
    ]
    best = int(np.argmax(scores))
    if max(scores) - min(scores) < 1e-3:
        return float("nan")
    if best in (0, LONGEST_LAG):
        return float(best)
    before, at, after = scores[best - 1 : best + 2]
    return best + 0.5 * float(before - after) / float(before - 2 * at + after)


def structure(pictures: Sequence[Picture], clip: Clip) -> float:
    pairs = zip(pictures, clip.clean, strict=True)
    return float(np.mean([correlation(gradients(out), gradients(now)) for out, now in pairs]))


def sharpness(pictures: Sequence[Picture], base: Sequence[Picture]) -> float:
    """Against the per-frame run's, leaving the first frames out: they have no history."""
    mine, theirs = (
        np.mean([cv2.Laplacian(luma(picture), cv2.CV_32F).var() for picture in run[4:]])
        for run in (pictures, base)
    )
    return float(mine / theirs) if theirs > 0 else float("nan")


def style_strength(pictures: Sequence[Picture], clip: Clip) -> float:
    distances = [
        1 - similarity(luma(out), luma(now)) + palette_distance(out, now)
        for out, now in zip(pictures, clip.clean, strict=True)
    ]
    return float(np.mean(distances))


def palette_distance(a: Picture, b: Picture) -> float:
    """Half the L1 distance of the normalised histograms of L, a and b, mean of the three."""
    apart = 0.0
    lab = [cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) for picture in (a, b)]
    for channel in range(3):
        counts = [cv2.calcHist([c], [channel], None, [PALETTE_BINS], (0, 256)) for c in lab]
        apart += np.abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()).sum() / 2
    return apart / 3


def similarity(a: Floats, b: Floats) -> float:
    """SSIM (Wang et al., IEEE TIP 2004, equation 13) with a Gaussian window of 1.5 px."""

    def mean(values: Floats) -> Floats:
        return cv2.GaussianBlur(values, (0, 0), 1.5)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2
    cov = mean(a * b) - mu_a * mu_b
    score = (
        (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    )
    return float(score.mean())


def response(pictures: Sequence[Picture], base: Sequence[Picture], clip: Clip) -> float:
    """T90 of the step at `clip.event`; nan without one."""
    if clip.event is None:
        return float("nan")

    def apart(shown: Picture, wanted: Picture) -> float:
        a, b = (cv2.GaussianBlur(luma(picture), (0, 0), SMOOTH_PX) for picture in (shown, wanted))
        return float(np.abs(a - b).mean())

    whole = apart(pictures[clip.event - 1], base[clip.event])
    for after in range(len(pictures) - clip.event):
        index = clip.event + after
        if apart(pictures[index], base[index]) < 0.1 * whole:
            return float(after)
    return float(len(pictures))


def ghost(pictures: Sequence[Picture], without: Sequence[Picture], sprites: list[Mask]) -> float:
    """Mean level of difference where the sprite was two frames ago and is not near any more."""
    levels = []
    for index in range(GHOST_AFTER, len(pictures)):
        left = sprites[index - GHOST_AFTER] & ~grown(sprites[index], 8)
        if left.any():
            change = np.abs(pictures[index].astype(np.float32) - without[index])
            levels.append(change[left].mean())
    return float(np.mean(levels)) if levels else 0.0


def returned(pictures: Sequence[Picture], clip: Clip) -> float:
    """Share of the pixels that are bit-equal to what they were before the interruption."""
    if not clip.returns:
        return float("nan")
    return float(np.mean([(pictures[a] == pictures[b]).all(-1).mean() for a, b in clip.returns]))


def distance(pictures: Sequence[Picture], base: Sequence[Picture]) -> float:
    """Mean levels from the per-frame run: what no warping can game."""
    pairs = zip(pictures, base, strict=True)
    return float(np.mean([np.abs(a.astype(np.float32) - b).mean() for a, b in pairs]))
