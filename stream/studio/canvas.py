"""CanvasPicture: what somebody has drawn, as the server knows it: patches on a picture.

    patch (exact pixels of a rectangle) ─► picture ─► with the grain of a ground ─► frame to paint

Timelapse: how a painting came to be, as pictures to make a video from.
"""

import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame, Size
from stream.sinks.video import VideoSink
from stream.studio.pictures import Data, encode_jpeg
from stream.studio.protocol import ProtocolError
from stream.video_info import VideoInfo

PAPER_RGB = (250, 247, 240)

GRAIN_SCALES_PX = (1, 2, 4)
"""Sizes of the grain's spots: a model that leaves flat fills flat makes brushwork of them."""

MOST_GRAIN = 20.0

MOST_PICTURES = 480
"""Of a timelapse; when it is full, every second one goes and half as many come."""

TIMELAPSE_RATE = 24
HOLD_FRAMES = 36
"""How long a timelapse shows the end, in frames."""

TIMELAPSE_QUALITY = 92


class CanvasPicture:
    """The picture that somebody draws. Not thread-safe.

    Args:
        size: (width, height), in px.
    """

    def __init__(self, size: Size) -> None:
        width, height = size
        self._data: Data = np.full((height, width, 3), PAPER_RGB, np.uint8)
        self._field = make_grain(size)
        self._grain: tuple[float, NDArray[np.int16]] | None = None

    @property
    def size(self) -> Size:
        """(width, height), in px."""
        return self._data.shape[1], self._data.shape[0]

    def apply(self, data: Data, place: tuple[int, int]) -> None:
        """Put a patch's pixels in their place, (x, y) of its upper left corner.

        Raises:
            ProtocolError: It does not lie on the picture.
        """
        (x, y), (height, width) = place, data.shape[:2]
        if x + width > self.size[0] or y + height > self.size[1]:
            raise ProtocolError(f"got a patch at {place} that does not lie on the picture")
        self._data[y : y + height, x : x + width] = data

    def with_grain(self, amount: float) -> Data:
        """A copy to paint, with a grain whose standard deviation is `amount` levels."""
        if amount <= 0:
            return self._data.copy()
        if self._grain is None or self._grain[0] != amount:
            levels = np.rint(amount * self._field).astype(np.int16)
            self._grain = amount, np.repeat(levels[:, :, np.newaxis], 3, axis=2)
        grained = cv2.add(self._data, self._grain[1], dtype=cv2.CV_8U)
        return np.asarray(grained, dtype=np.uint8)


def make_grain(size: Size) -> NDArray[np.float32]:
    """A fixed field of spots of several sizes, float32 (H, W), mean 0, standard deviation 1."""
    width, height = size
    random = np.random.default_rng(1)
    field = np.zeros((height, width), np.float32)
    for scale in GRAIN_SCALES_PX:
        cells = random.standard_normal((-(-height // scale), -(-width // scale)), np.float32)
        field += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


class Timelapse:
    """The paintings of one canvas, evenly thinned out. Thread-safe."""

    def __init__(self, most: int = MOST_PICTURES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._pictures: list[bytes] = []
        self._size: Size | None = None
        self._every = 1
        self._count = 0

    def __len__(self) -> int:
        return len(self._pictures)

    def keep(self, painted: Data) -> None:
        """One more painting."""
        size = painted.shape[1], painted.shape[0]
        with self._lock:
            if size != self._size:
                self._pictures, self._size, self._every, self._count = [], size, 1, 0
            self._count += 1
            if self._count % self._every:
                return
            self._pictures.append(encode_jpeg(painted, TIMELAPSE_QUALITY))
            if len(self._pictures) >= self._most:
                self._pictures = self._pictures[1::2]
                self._every *= 2

    def write(self, path: Path) -> int:
        """Make a video of it; how many frames it has.

        Raises:
            SinkError: It cannot be written.
        """
        with self._lock:
            pictures, size = list(self._pictures), self._size
        if not pictures or size is None:
            return 0
        base = Fraction(1, TIMELAPSE_RATE)
        info = VideoInfo(size=size, time_base=base, rate=Fraction(TIMELAPSE_RATE))
        pictures += [pictures[-1]] * HOLD_FRAMES
        with VideoSink(path, info=info) as sink:
            for index, coded in enumerate(pictures):
                data = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR_RGB)
                sink.write(Frame(np.asarray(data, dtype=np.uint8), index, base, 1))
        return len(pictures)
