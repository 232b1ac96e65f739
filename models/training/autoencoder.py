"""Stage `autoencoder`: photographs and paintings to latents and back, at twice the size.

What is encoded is the picture at half its sides, which is what the model will be given; what is
decoded is the whole picture. Loss: L1 on pixels and on their differences (edges), at two scales,
and a little noise on the latents, so that the decoder forgives the small errors of a one-step
prediction. Afterwards the latents are measured, and the shift and scale that give them zero mean
and unit variance go into the config.

It starts from an earlier autoencoder where one is given: what fits is taken over, channels that
are new are drawn.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.autoencoder import AutoencoderPatch
from models.training.batches import SCALE, Batches
from models.training.loop import Plan, autocast, fit, generator
from models.training.material.paintings import Paintings

WINDOW = 256
"""Side of a decoded picture in pixels: the autoencoder is local, small windows teach it all."""

LATENT_NOISE = 0.04
"""Standard deviation of the noise on the latents, in units of their own."""

REFRESH_EVERY = 25
"""Steps after which new pairs are looked for."""

FAINT_MARK = 0.02
"""Deviation of an image in [-1, 1] below which marks hardly count."""


def make_autoencoder() -> AutoencoderPatch:
    """The autoencoder with fresh weights."""
    made: AutoencoderPatch = AutoencoderPatch(
        latent_channels=32, encoder_layers=1, decoder_layers=2, output_scale=SCALE
    )
    return made


def edges(apart: Tensor) -> Tensor:
    """Mean size of the horizontal and of the vertical differences of an image, summed."""
    dx, dy = apart[..., 1:] - apart[..., :-1], apart[..., 1:, :] - apart[..., :-1, :]
    return dx.abs().mean() + dy.abs().mean()


def picture_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 on pixels, on edges at two scales, and on the mean colours of squares of 16 px."""
    apart = a - b
    tint = F.avg_pool2d(apart, 16).abs().mean()
    return apart.abs().mean() + edges(apart) + edges(F.avg_pool2d(apart, 2)) + tint


def texture_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between how strong the marks of two images are, in squares of 16 px, at two scales.

    L1 on pixels alone shrinks each mark by as much as its place is in doubt; this keeps its
    contrast. Images (B, 3, H, W); strength is the deviation from the mean of 5x5 px.
    """
    pairs = (a, b), (F.avg_pool2d(a, 2), F.avg_pool2d(b, 2))
    return torch.stack([(_strength(x) - _strength(y)).abs().mean() for x, y in pairs]).sum()


def _strength(image: Tensor) -> Tensor:
    marks = image - F.avg_pool2d(image, 5, stride=1, padding=2, count_include_pad=False)
    return (F.avg_pool2d(marks**2, 16) + FAINT_MARK**2).sqrt()


def train(pairs: Path, folder: Path, plan: Plan, *, start: Path | None = None) -> AutoencoderPatch:
    """Train, measure the latents, save the diffusers folder `<folder>/vae`; returns the model.

    Args:
        start: Folder of an earlier autoencoder to begin from.
    """
    torch.manual_seed(plan.seed)
    batches = Batches(Paintings(pairs), plan.batch, plan.seed)
    model = make_autoencoder()
    if start is not None:
        adopt(model, AutoencoderPatch.from_pretrained(start))
    model = model.to(memory_format=torch.channels_last)

    def loss(step: int) -> dict[str, Tensor]:
        pictures = batches.pictures(step, WINDOW).contiguous(memory_format=torch.channels_last)
        with autocast(pictures.device):
            latents = model.encode(F.avg_pool2d(pictures, SCALE)).latents
            noise = torch.randn(latents.shape, generator=generator(plan.seed, step))
            spread = latents.detach().float().std()
            restored = model.decode(latents + LATENT_NOISE * spread * noise).sample.float()
        half = F.avg_pool2d(restored, SCALE), F.avg_pool2d(pictures, SCALE)
        return {
            "picture": picture_loss(restored, pictures),
            "square": 4 * F.mse_loss(*half),
        }

    def after_step(step: int) -> None:
        if step % REFRESH_EVERY == 0:
            batches.refresh()

    average: AutoencoderPatch = fit(model, loss, plan, folder, after_step=after_step)  # type: ignore[assignment]
    shift, scale = measure(average, batches, 0)
    average.register_to_config(shift_factor=shift, scaling_factor=scale)
    average.save_pretrained(folder / "vae")
    return average


@torch.no_grad()
def measure(model: AutoencoderPatch, batches: Batches, step: int) -> tuple[float, float]:
    """(shift, scale) such that (latents - shift) * scale has zero mean and unit variance."""
    pictures = [batches.pictures(step + k, WINDOW) for k in range(8)]
    latents = torch.cat([model.encode(F.avg_pool2d(p, SCALE)).latents for p in pictures])
    return round(latents.mean().item(), 5), round(1 / latents.std().item(), 5)


@torch.no_grad()
def adopt(model: AutoencoderPatch, earlier: AutoencoderPatch) -> None:
    """Take over an earlier autoencoder's weights, as far as shapes fit.

    Of several blocks in a row the first ones are taken, of wider layers the first channels are the
    earlier ones'; in a larger exit each pixel of the earlier one becomes a square.
    """
    for own, other in ((model.encoder, earlier.encoder), (model.decoder, earlier.decoder)):
        for mine, theirs in zip(*(_stages(part) for part in (own, other)), strict=True):
            for layer, source in zip(mine, theirs, strict=False):
                for name, value in layer.named_parameters():
                    _fill(value, source.get_parameter(name))


def _stages(part: nn.Module) -> list[list[nn.Module]]:
    """The layers with weights: convolutions each alone, blocks in a row together."""
    stages: list[list[nn.Module]] = [[]]
    for layer in part.children():
        if isinstance(layer, nn.Conv2d):
            stages += [[layer], []]
        elif any(True for _ in layer.parameters()):
            stages[-1].append(layer)
    return stages


def _fill(value: Tensor, source: Tensor) -> None:
    if value.shape[0] % source.shape[0] == 0 and value.shape[1:] == source.shape[1:]:
        times = value.shape[0] // source.shape[0]
        if times in (1, 4):  # 4: each pixel of a shuffle by 4 becomes 2x2 of a shuffle by 8
            rows = torch.arange(value.shape[0])
            if times == 4:
                channel, place = rows // 64, rows % 64
                rows = 16 * channel + 4 * (place // 8 // 2) + place % 8 // 2
            value.copy_(source[rows])
            return
    area = tuple(slice(min(a, b)) for a, b in zip(value.shape, source.shape, strict=True))
    value[area] = source[area]
