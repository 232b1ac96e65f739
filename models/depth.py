"""DepthEstimator: how near each pixel of a frame is, by a network, where the model runs.

    image ──to its size, normalised──► network ──depth──► to the image's size, 0 far to 1 near

Any of transformers' networks for relative depth that take a picture and give one plane, such as
Depth Anything (arXiv 2406.09414) and DPT (arXiv 2103.13413). Once a frame; nothing comes from the
host, so that a graph may hold it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.errors import ModelFormatError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB, by which these networks were trained."""

LEAST_RANGE = 1e-6
"""A picture that is all at one distance is all far."""


class DepthEstimator:
    """Depth of images. Not thread-safe.

    Args:
        network: One that `AutoModelForDepthEstimation` makes, on the engine's device.
        name: For messages.

    Raises:
        ModelFormatError: It does not say what size it was trained for.
    """

    def __init__(self, network: Any, name: str) -> None:
        self._network = network
        backbone = getattr(network.config, "backbone_config", None)
        found = _sides(backbone) or _sides(network.config)
        if found is None:
            raise ModelFormatError(
                f"{name} does not say the size of its pictures and patches; take Depth Anything "
                "or DPT."
            )
        self._side_px, self._patch_px = found
        # DPT's own transformer takes squares alone
        self._takes_any_shape = backbone is not None and not getattr(
            network.config, "is_hybrid", False
        )

    def to(self, dtype: torch.dtype) -> None:
        """Have the network compute in another dtype."""
        self._network.to(dtype=dtype)

    def __call__(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same shape in [0, 1], 1 the nearest of each picture."""
        size = image.shape[-2:]
        seen = self._resized(image)
        channels = [
            ((seen[:, index : index + 1] + 1) / 2 - MEAN[index]) / STD[index] for index in range(3)
        ]
        pixels = torch.cat(channels, dim=1).to(self._network.dtype)
        depth = self._network(pixel_values=pixels).predicted_depth.float()[:, None]
        depth = F.interpolate(depth, size=size, mode="bicubic", align_corners=False)
        far, near = depth.amin((1, 2, 3), keepdim=True), depth.amax((1, 2, 3), keepdim=True)
        return ((depth - far) / (near - far).clamp(min=LEAST_RANGE)).expand(-1, 3, -1, -1)

    def _resized(self, image: Tensor) -> Tensor:
        """The short side as the network was trained, both in whole patches; or a square."""
        height, width = image.shape[-2:]
        scale, patch = self._side_px / min(height, width), self._patch_px
        size = [round(side * scale / patch) * patch for side in (height, width)]
        if not self._takes_any_shape:
            size = [self._side_px, self._side_px]
        if size == [height, width]:
            return image
        resized = F.interpolate(
            image, size=size, mode="bicubic", align_corners=False, antialias=scale < 1
        )
        return resized.clamp(-1, 1)


def _sides(config: Any) -> tuple[int, int] | None:
    """Of pictures and patches in px, where a config says them."""
    image, patch = (getattr(config, name, None) for name in ("image_size", "patch_size"))
    return (image, patch) if isinstance(image, int) and isinstance(patch, int) else None
