"""ImageEncoder: pictures to the tokens that a UNet with an IP-Adapter reads (arXiv 2308.06721).

    picture ──CLIP's preparation──► vision encoder ──projection──► (1, tokens, width)

Two kinds of projection are served: that of IP-Adapter (the pooled embedding, four tokens) and that
of IP-Adapter Plus (the states before the last layer, through a resampler). Once a picture, kept for
the last few.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.errors import ModelFormatError
from models.style import Style, StyleImage

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, RGB (arXiv 2103.00020)."""

HEAD_WIDTH = 64
POOLED_TOKENS = 4
KEPT = 16
"""Pictures whose tokens are kept."""


class PooledProjection(nn.Module):
    """The pooled embedding (B, W) to four tokens (B, 4, width)."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        rows, embed_width = weights["proj.weight"].shape
        self.proj = nn.Linear(embed_width, rows)
        self.norm = nn.LayerNorm(rows // POOLED_TOKENS)

    def forward(self, embeds: Tensor) -> Tensor:
        tokens: Tensor = self.norm(self.proj(embeds).unflatten(-1, (POOLED_TOKENS, -1)))
        return tokens


class ResamplerLayer(nn.ModuleList):
    """Learned tokens that read the picture's states and themselves; then a feed-forward."""

    def __init__(self, width: int, inner: int, hidden: int) -> None:
        attention = nn.ModuleDict(
            {
                "norm1": nn.LayerNorm(width),
                "norm2": nn.LayerNorm(width),
                "to_q": nn.Linear(width, inner, bias=False),
                "to_kv": nn.Linear(width, 2 * inner, bias=False),
                "to_out": nn.Linear(inner, width, bias=False),
            }
        )
        feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden, bias=False),
            nn.GELU(),
            nn.Linear(hidden, width, bias=False),
        )
        super().__init__([attention, feed_forward])

    def forward(self, states: Tensor, latents: Tensor) -> Tensor:
        attention: Any = self[0]
        asked = attention["norm2"](latents)
        read = torch.cat([attention["norm1"](states), asked], dim=1)
        query, key, value = (
            part.unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)
            for part in (attention["to_q"](asked), *attention["to_kv"](read).chunk(2, dim=-1))
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        latents = latents + attention["to_out"](attended.transpose(1, 2).flatten(2))
        output: Tensor = latents + self[1](latents)
        return output


class Resampler(nn.Module):
    """States (B, N, W) of a vision encoder to a few tokens (B, T, width)."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        _, tokens, width = weights["latents"].shape
        layers = 1 + max(int(key.split(".")[1]) for key in weights if key.startswith("layers."))
        inner = len(weights["layers.0.0.to_q.weight"])
        hidden = len(weights["layers.0.1.1.weight"])
        self.latents = nn.Parameter(torch.empty(1, tokens, width))
        self.proj_in = nn.Linear(weights["proj_in.weight"].shape[1], width)
        self.proj_out = nn.Linear(width, len(weights["proj_out.weight"]))
        self.norm_out = nn.LayerNorm(len(weights["proj_out.weight"]))
        self.layers = nn.ModuleList([ResamplerLayer(width, inner, hidden) for _ in range(layers)])

    def forward(self, states: Tensor) -> Tensor:
        states, latents = self.proj_in(states), self.latents.expand(len(states), -1, -1)
        for layer in self.layers:
            latents = layer(states, latents)
        tokens: Tensor = self.norm_out(self.proj_out(latents))
        return tokens


class ImageEncoder:
    """Pictures of a style to tokens. Not thread-safe.

    Args:
        vision: transformers' CLIPVisionModelWithProjection, on the engine's device.
        weights: The "image_proj" part of an IP-Adapter's file.
        name: For messages.

    Raises:
        ModelFormatError: The projection is of a kind that is not served, or for another encoder.
    """

    def __init__(self, vision: Any, weights: Mapping[str, Tensor], name: str) -> None:
        self._vision = vision
        self._projection = _projection(weights, name)
        self._projection.to(vision.device, vision.dtype).eval().requires_grad_(False)
        config = vision.config
        width, kind = config.hidden_size, "proj_in.weight"
        if isinstance(self._projection, PooledProjection):
            width, kind = config.projection_dim, "proj.weight"
        if weights[kind].shape[1] != width:
            raise ModelFormatError(
                f"The IP-Adapter {name} reads embeddings of {weights[kind].shape[1]}, its image "
                f"encoder gives {width}; take the encoder that it was made with."
            )
        self._known: OrderedDict[tuple[str, bool], Tensor] = OrderedDict()

    def encode(self, style: Style, rows: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
        """Tokens (rows, pictures, tokens, width) and weights (rows, pictures) of a style.

        Args:
            style: ``None`` comes back where it has no pictures.
            rows: 2 with guidance: first those of no picture.
            like: Whose device and dtype they get.
        """
        if not style.images:
            return None
        tokens = torch.stack([self._tokens(image) for image in style.images], dim=1)
        if rows == 2:
            nothing = [self._tokens(image, shows=False) for image in style.images]
            tokens = torch.cat([torch.stack(nothing, dim=1), tokens])
        weights = torch.tensor([style.image_weights]).expand(rows, -1)
        return tokens.to(like), weights.to(like).contiguous()

    def _tokens(self, image: StyleImage, *, shows: bool = True) -> Tensor:
        key = image.digest if shows else "", shows
        if key not in self._known:
            while len(self._known) >= KEPT:
                self._known.popitem(last=False)
            self._known[key] = self._worked_out(image, shows=shows)
        self._known.move_to_end(key)
        return self._known[key]

    def _worked_out(self, image: StyleImage, *, shows: bool) -> Tensor:
        vision = self._vision
        pixels = prepared(image.data, vision.config.image_size).to(vision.device, vision.dtype)
        pools = isinstance(self._projection, PooledProjection)
        if pools:
            read = vision(pixels).image_embeds
            read = read if shows else torch.zeros_like(read)
        else:
            pixels = pixels if shows else torch.zeros_like(pixels)
            read = vision(pixels, output_hidden_states=True).hidden_states[-2]
        tokens: Tensor = self._projection(read)
        return tokens


def prepared(data: NDArray[np.uint8], side_px: int) -> Tensor:
    """uint8 RGB (H, W, 3) -> (1, 3, side, side), as CLIP's image processor: the short side brought
    to `side_px`, bicubic, the middle of it, normalised.
    """
    from PIL import Image

    height, width = data.shape[:2]
    short = min(height, width)
    size = int(side_px * width / short), int(side_px * height / short)
    resized = np.asarray(Image.fromarray(data).resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - side_px) // 2, (size[0] - side_px) // 2
    middle = resized[top : top + side_px, left : left + side_px].astype(np.float32) / 255
    normalised = (middle - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))[None]


def _projection(weights: Mapping[str, Tensor], name: str) -> PooledProjection | Resampler:
    """
    Raises:
        ModelFormatError: It is none of the kinds that are served.
    """
    try:
        projection = PooledProjection(weights) if "proj.weight" in weights else Resampler(weights)
        projection.load_state_dict(dict(weights))
    except (KeyError, ValueError, RuntimeError) as err:
        raise ModelFormatError(
            f"The IP-Adapter {name} is of a kind that is not served; take a plain one or a Plus "
            "(none for faces)."
        ) from err
    return projection


def encode_images(
    encoder: ImageEncoder | None, style: Style, states: Tensor, name: str
) -> tuple[Tensor, Tensor] | None:
    """Tokens and weights of a style's pictures beside the text's `states`; ``None`` without any.

    Args:
        name: The engine's, for messages.

    Raises:
        ValueError: There are pictures, and nothing that reads them.
    """
    if encoder is not None:
        return encoder.encode(style, len(states), states)
    if style.images:
        raise ValueError(f"got images for {name}, expected none: it has no image encoder")
    return None
