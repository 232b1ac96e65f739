"""Memory: what is kept of one stream, as tensors on the engine's device.

Each has a fixed shape and a fixed place, so a captured frame can read and write them. Another
stream's memory is copied in and out (`take_from`), and needs no other graph.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

LEAST_SIDE_PX = 192
"""Short side of the luma that frames are reduced to, at least."""

THUMBNAIL_PX = 128
"""Long side of what cuts are seen by, where the sizes divide."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that a memory depends on.

    Attributes:
        image: (height, width) of a frame.
        grid: (height, width) of its latents.
        output_scale: Side of a painted picture over the frame's.
        places: Places of the noise along each side of a latent cell.
    """

    image: tuple[int, int]
    grid: tuple[int, int]
    output_scale: int
    places: int

    @property
    def luma(self) -> tuple[int, int]:
        """(height, width) of the plane on which changes and motion are looked for."""
        height, width = self.image
        cell = height // self.grid[0]
        fits = (n for n in (4, 2) if cell % n == 0 and min(self.image) // n >= LEAST_SIDE_PX)
        by = next(fits, 1)
        return height // by, width // by

    @property
    def flow(self) -> tuple[int, int]:
        """(height, width) of the flow."""
        return self.luma[0] // 2, self.luma[1] // 2

    @property
    def thumbnail(self) -> tuple[int, int]:
        """(height, width) of what cuts are seen by."""
        by = 1
        while max(self.image) > by * THUMBNAIL_PX and not any(
            side % (2 * by) for side in self.image
        ):
            by *= 2
        return self.image[0] // by, self.image[1] // by

    @property
    def picture(self) -> tuple[int, int]:
        """(height, width) of a painted picture."""
        return self.output_scale * self.image[0], self.output_scale * self.image[1]


@dataclass(slots=True, eq=False)
class Memory:
    """One stream's. All float32 but for the picture; levels are 0 to 255.

    Attributes:
        is_there: () 1 where there is a history at all.
        luma, cells: The last frame's (`models.temporal.gate.Look`).
        paint_luma, paint_cells: What each cell's paint was made from.
        thumbnail: The last frame's, (1, 3, h, w).
        noise: () standard deviation of the sensor's noise.
        quiet_s, rest_s: `models.temporal.gate.Ages`.
        shift: How far the noise has moved, (1, 2, s h, s w) in places.
        taken: From how far it is taken, the same in whole places.
        shown: The picture that was shown last, uint8 (1, 3, H, W).
    """

    is_there: Tensor
    luma: Tensor
    cells: Tensor
    paint_luma: Tensor
    paint_cells: Tensor
    thumbnail: Tensor
    noise: Tensor
    quiet_s: Tensor
    rest_s: Tensor
    shift: Tensor
    taken: Tensor
    shown: Tensor

    @classmethod
    @torch.inference_mode()
    def empty(cls, shape: Shape, device: torch.device) -> "Memory":
        """Of a stream that has not begun."""

        def plane(channels: int, size: tuple[int, int]) -> Tensor:
            return torch.zeros(1, channels, *size, device=device)

        noise = shape.places * shape.grid[0], shape.places * shape.grid[1]
        return cls(
            is_there=torch.zeros((), device=device),
            luma=plane(1, shape.luma),
            cells=plane(3, shape.grid),
            paint_luma=plane(1, shape.luma),
            paint_cells=plane(3, shape.grid),
            thumbnail=plane(3, shape.thumbnail),
            noise=torch.ones((), device=device),
            quiet_s=plane(1, shape.grid),
            rest_s=plane(1, shape.grid),
            shift=plane(2, noise),
            taken=plane(2, noise),
            shown=torch.zeros(1, 3, *shape.picture, dtype=torch.uint8, device=device),
        )

    def of_looks(self) -> list[Tensor]:
        """All of them but for the picture, in a fixed order."""
        return self.tensors()[:-1]

    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        return [getattr(self, each.name) for each in fields(self)]

    @torch.inference_mode()
    def take_from(self, other: "Memory") -> None:
        """Hold what another memory of the same shape holds."""
        for mine, theirs in zip(self.tensors(), other.tensors(), strict=True):
            mine.copy_(theirs)
