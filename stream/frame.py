"""Frame: one picture and its place in time. RGB uint8 everywhere; BGR exists only inside the
adapters that meet OpenCV. No input or output in here.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""(width, height), in pixels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and its place in time, in FFmpeg's words.

    Attributes:
        data: uint8 RGB, shape (H, W, 3), C-contiguous. Never written to by a reader.
        pts: Presentation time stamp, in `time_base` units.
        time_base: Seconds per unit of `pts`.
        duration: How long it is shown, in `time_base` units; ``None`` where the source cannot say.
        captured_at_s: When it was read, in seconds of the session's monotonic clock; stamped by
            the session, 0.0 before.
        alpha: Opacity of what was read: uint8, shape (H, W) of the source, 255 is opaque; ``None``
            where it has none. `data` is that picture on black (or white); sinks scale it.
        as_is: A notice (such as "reconnecting") rather than a picture: shown, but not painted.
        is_repeat: The frame before it once more, because the source gives none.
        mark: The number that whoever sent it knows it by; 0 where nobody does.
        mask: Of a painting, where it shows: uint8, of any shape (h, w), 255 is the painting alone;
            ``None`` shows it everywhere.
        unpainted: The picture that shows elsewhere, uint8 RGB; ``None`` where nobody needs it.

    Raises:
        ValueError: `data` is not uint8 (H, W, 3).
    """

    data: NDArray[np.uint8]
    pts: int
    time_base: Fraction
    duration: int | None = None
    captured_at_s: float = 0.0
    alpha: NDArray[np.uint8] | None = None
    as_is: bool = False
    is_repeat: bool = False
    mark: int = 0
    mask: NDArray[np.uint8] | None = None
    unpainted: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 3 or self.data.shape[2] != 3:
            raise ValueError(
                f"got data of {self.data.dtype} {self.data.shape}, expected uint8 (H, W, 3)"
            )

    @property
    def time_s(self) -> float:
        """`pts` in seconds."""
        return float(self.pts * self.time_base)

    @property
    def width(self) -> int:
        return int(self.data.shape[1])

    @property
    def height(self) -> int:
        return int(self.data.shape[0])

    @property
    def size(self) -> Size:
        return self.width, self.height

    def replace(self, data: NDArray[np.uint8], **changes: Any) -> "Frame":
        """The same place in time with another picture (of any size)."""
        return replace(self, data=data, **changes)

    def __repr__(self) -> str:
        return f"<Frame {self.width}x{self.height} pts={self.pts} time={self.time_s:.3f} s>"
