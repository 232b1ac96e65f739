"""Regions: where the painting shows. Elsewhere the frame stays as it was.

    frame ─► Region.find ─► mask, 0 the frame to 255 the painting ─► composed, at the output's size

spec                   region
---------------------  ------------------------------------------------------------
person, background     people near the camera, by `models.PersonSegmenter`; all but them
mask.png, any picture  its opaque pixels, where it has transparent ones; else its bright ones
mask.mp4, any film     its bright pixels, frame by frame by its own times, round and round

Masks are feathered. A person's mask follows at once where the network is sure, and keeps what it
was where it is not, so that edges do not flicker; it forgets at a cut, so that a film may be
painted in parts. Called by `stylizer.py`.
"""

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models import PersonSegmenter
from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.sources import names_pictures, open_source
from stream.sources.base import Source
from stream.sources.pictures import load_picture
from stream.stylizer.masks import BACKGROUND, PERSON
from stream.temporal import gate
from stream.temporal.splitter import Splitter

Mask = NDArray[np.uint8]
"""(h, w) of any size, stretched over the picture."""

FEATHER = 1 / 256
"""Standard deviation of the blur of a mask's edges, of its short side."""

UNSURE, SURE = 0.3, 0.8
"""Below the one and above the other a pixel is wholly the frame's, or the painting's: the network's
doubt about a lamp in the background is no ghost of paint."""

LEAST_GAIN = 0.15
"""Share that a pixel takes of a new mask where the network could as well say no."""


class Region(Protocol):
    """Where the painting shows, in the frames of one stream in order. Not thread-safe."""

    def find(self, frame: Frame, *, starts_shot: bool) -> Mask:
        """The mask of this frame, feathered.

        Args:
            frame: As the source gave it.
            starts_shot: Whether it has nothing to do with the frame before.

        Raises:
            SourceError: The mask's film cannot be read any more.
        """

    def close(self) -> None:
        """Let go of files. May be called again."""


class PersonRegion:
    """People, or all but them.

    Args:
        inverted: All but them.
        segmenter: What finds them: uint8 RGB (H, W, 3) -> float32 (h, w), 0 to 1.
    """

    def __init__(self, *, inverted: bool = False, segmenter: Any = None) -> None:
        self._segment = PersonSegmenter() if segmenter is None else segmenter
        self._inverted = inverted
        self._before: NDArray[np.float32] | None = None

    def find(self, frame: Frame, *, starts_shot: bool) -> Mask:
        found = np.asarray(self._segment(frame.data), np.float32)
        if self._before is not None and not starts_shot:
            found = steadied(found, self._before)
        self._before = found
        shown = np.clip((found - UNSURE) / (SURE - UNSURE), 0, 1)
        mask = feathered((shown * 255).astype(np.uint8))
        return 255 - mask if self._inverted else mask

    def close(self) -> None:
        return


class PictureRegion:
    """What a picture shows of itself, or shows bright.

    Args:
        mask: uint8 (h, w).
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = feathered(mask)

    def find(self, frame: Frame, *, starts_shot: bool) -> Mask:
        return self._mask

    def close(self) -> None:
        return


class FilmRegion:
    """What a film shows bright, frame by frame; it begins again at its end.

    Args:
        path: The film; its first frame is that of the stream's time 0.

    Raises:
        SourceError: It cannot be read, or shows nothing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._source: Source | None = None
        self._begins_s = 0.0  # of the stream, where this round of the film begins
        self._shown: tuple[float, float, Mask] | None = None  # from, to, what
        self._open(0.0)

    def find(self, frame: Frame, *, starts_shot: bool) -> Mask:
        if self._shown is None or frame.time_s < self._shown[0]:
            self._open(0.0)  # time went back: another stream
        assert self._shown is not None
        while frame.time_s >= self._shown[1]:
            self._go_on()
        return self._shown[2]

    def close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _open(self, begins_s: float) -> None:
        self.close()
        self._source, self._begins_s, self._shown = open_source(self._path), begins_s, None
        self._go_on()

    def _go_on(self) -> None:
        """The next frame of the film, or its first."""
        before = self._shown
        frame = None if self._source is None else self._source.read()
        if frame is None and before is None:
            raise SourceError(f"The mask {self._path} shows no picture; check that it plays.")
        if frame is None:
            assert before is not None
            self._open(before[1])
            return
        assert self._source is not None
        start_s = self._begins_s + frame.time_s - float(self._source.info.start_s)
        lasts_s = float((frame.duration or 1) * frame.time_base)
        luma = np.asarray(cv2.cvtColor(frame.data, cv2.COLOR_RGB2GRAY), np.uint8)
        self._shown = start_s, start_s + lasts_s, feathered(luma)


class Shots:
    """Tells where a shot begins, by the rule for the parts of films. Not thread-safe."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._size: Size | None = None

    def starts(self, data: NDArray[np.uint8], grid: Size, time_s: float) -> bool:
        """Whether a frame has nothing to do with the one before.

        Args:
            data: uint8 RGB at the model's size.
            grid: (w, h) of the latents.
            time_s: Media time.
        """
        if self._size not in (None, grid):  # the governor changed it
            self._splitter = Splitter()
        self._size = grid
        return self._splitter.starts_shot(gate.see(data, grid), time_s)


def make_region(mask: str | Mask) -> Region:
    """What a spec names (see the table above), or an array (h, w) of uint8 is.

    Raises:
        SourceError: The file cannot be read.
    """
    if not isinstance(mask, str):
        return PictureRegion(mask)
    if mask in (PERSON, BACKGROUND):
        return PersonRegion(inverted=mask == BACKGROUND)
    if not names_pictures(mask):
        return FilmRegion(mask)
    rgb, alpha = load_picture(Path(mask))
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    return PictureRegion(grey if alpha is None else alpha)


def steadied(found: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """A mask that follows where the network is sure and stays as it was where it is not: the weight
    of the new one rises with the square of its distance from one half.
    """
    gain = LEAST_GAIN + (1 - LEAST_GAIN) * (2 * found - 1) ** 2
    return np.asarray(before + gain * (found - before), np.float32)


def feathered(mask: Mask) -> Mask:
    """A mask with soft edges."""
    sigma = max(0.5, FEATHER * min(mask.shape))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)


def composed(
    around: NDArray[np.uint8], painted: NDArray[np.uint8], mask: Mask
) -> NDArray[np.uint8]:
    """The painting where the mask says, on the picture around it.

    Args:
        around, painted: uint8 RGB of one size.
        mask: Stretched over both.
    """
    height, width = painted.shape[:2]
    grown = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    share = grown.astype(np.float32) / 255
    return np.asarray(cv2.blendLinear(painted, around, share, 1 - share), np.uint8)
