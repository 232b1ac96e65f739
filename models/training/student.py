"""Stage `student`: one step from the photograph to the painting, by regression.

The teachers paint with noise carried along the picture (`models.fields`), and the student is shown
the same carried noise. So each stroke is determined, and the painting can be regressed onto: no
critic has to invent strokes, no mean of all possible strokes remains.

The clean end of every trajectory is known, because the painting of each photograph is. f(z_t, t) is
trained straight onto m(w) of `looks.py`, from where img2img really starts (the noised photograph)
and from where its later steps stand: what the student itself made in the steps before, noised
again, at the very timesteps that sampling in two, three or four steps takes.

Losses: pseudo-Huber on latents, against the encoded painting; L1, edges at two scales and mean
colours of squares on the decoded picture, which has twice the frame's sides, of half of the rows,
and there also how strong the marks are, which L1 would shrink where their place is in doubt.
A window's rim counts like the rest: the networks see zeros beyond it, as at a picture's own rim.
The decoder learns along, for it meets latents here that no encoder made, and goes on restoring
photographs and paintings from their own. It is never told a look, so whatever is painted is in the
latents. The encoder stays as it was trained.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from models.autoencoder import AutoencoderPatch
from models.stem import Stem
from models.training.autoencoder import picture_loss, texture_loss
from models.training.batches import SCALE, Batch, Batches, to_latent_noise
from models.training.denoiser import Denoiser, make_stem, make_unet, pseudo_huber
from models.training.looks import GRID, PromptBank, share, to_images, to_latents
from models.training.loop import Plan, autocast, fit, generator
from models.training.material.paintings import Paintings

SMALLEST_PLACE = 3
"""In the grid, of the first step: four steps have room from there."""

FULL_PLACE = 29
"""The place from which on the look is whole (strength 0.6)."""

FULL_SHARE = 0.7
"""Of the rows start there or beyond; the rest anywhere below."""

LATER_EVERY = 5
"""Steps of training of which one has rows that stand at later steps."""

LATENT_WEIGHT = 1.0
RESTORED_WEIGHT = 1.0
TEXTURE_WEIGHT = 1.5

DECODED_ROWS = 6
"""Of a batch are decoded: the decoder costs as much as the UNet."""

KNOWN_ROWS = 1
"""Photographs, and as many paintings, that the decoder restores from their own latents."""

REFRESH_EVERY = 25
"""Steps after which new pairs are looked for."""

RATES = {"autoencoder": 0.5}
"""Shares of the learning rate."""

FOLDERS = {"autoencoder": "vae"}
"""Where a part is saved, if not by its name."""


@dataclass(frozen=True, slots=True)
class Networks:
    """What is called for a prediction."""

    unet: UNet2DConditionModel
    stem: Stem
    autoencoder: AutoencoderPatch


@dataclass(frozen=True, slots=True)
class Given:
    """What a prediction hangs on beside the noised latents; all of B rows.

    Attributes:
        frame: The frame's latents.
        features: The stem's.
        states: The prompts'.
        first: int64 (B,), the place in the grid of the first step.
        noise: The carried noise, which the first step sees; later ones see another.
    """

    frame: Tensor
    features: Tensor
    states: Tensor
    first: Tensor
    noise: Tensor

    def rows(self, rows: slice) -> "Given":
        return Given(*(getattr(self, name)[rows] for name in self.__slots__))


class Student:
    """The loss of one step."""

    def __init__(
        self,
        networks: Networks,
        batches: Batches,
        bank: PromptBank,
        plan: Plan,
        window: int,
    ) -> None:
        self._networks, self._batches, self._bank = networks, batches, bank
        self._plan, self._window = plan, window
        self._denoiser = Denoiser(torch.device("cpu"))
        self._grid = torch.tensor(GRID)

    def __call__(self, step: int) -> dict[str, Tensor]:
        random = generator(self._plan.seed + 2, step)
        batch = self._batches.draw(step, self._window)
        networks, autoencoder = self._networks, self._networks.autoencoder
        states = self._states(batch, random)
        with autocast(batch.frame.device):
            features = networks.stem(
                channels_last(batch.frame), batch.planes, networks.stem.style(states)
            )
        small = channels_last(torch.cat([batch.frame, F.avg_pool2d(batch.painting, SCALE)]))
        with torch.no_grad():
            frame, painting = to_latents(autoencoder, small).chunk(2)
        noise = to_latent_noise(batch.noise, frame.shape[1], random)
        given = Given(frame, features, states, self._first(random), noise)
        stands = given.frame, given.first
        if step % LATER_EVERY == 0:
            stands = self._origin(given, random)
        x = self._step(*stands, given, random)
        w = share(self._grid[given.first]).view(-1, 1, 1, 1)
        wanted = frame + w * (painting - frame)
        picture = torch.lerp(batch.photo, batch.painting, w).clamp(-1, 1)
        same = torch.cat([batch.photo[:KNOWN_ROWS], batch.painting[-KNOWN_ROWS:]])
        with torch.no_grad():
            known = to_latents(autoencoder, channels_last(F.avg_pool2d(same, SCALE)))
        rows = slice(DECODED_ROWS)
        both = to_images(autoencoder, channels_last(torch.cat([x[rows], known])))
        decoded, restored = both[: -len(known)], both[-len(known) :]
        return {
            "latents": LATENT_WEIGHT * pseudo_huber(x, wanted).mean(),
            "picture": picture_loss(decoded, picture[rows]),
            "texture": TEXTURE_WEIGHT * texture_loss(decoded, picture[rows]),
            "restored": RESTORED_WEIGHT * picture_loss(restored, same),
        }

    def after_step(self, step: int) -> None:
        if step % REFRESH_EVERY == 0:
            self._batches.refresh()

    def _states(self, batch: Batch, random: torch.Generator) -> Tensor:
        """Prompts of the rows' looks, mixed by their shares: float32 (B, tokens, width)."""
        first, second = (self._bank.draw(batch.looks[:, k], random) for k in (0, 1))
        return torch.lerp(second, first, batch.share.view(-1, 1, 1))

    def _first(self, random: torch.Generator) -> Tensor:
        """Each row's place in the grid at its first step: int64 (B,)."""
        size = (self._plan.batch,)
        full = torch.randint(FULL_PLACE, len(GRID), size, generator=random)
        part = torch.randint(SMALLEST_PLACE, FULL_PLACE, size, generator=random)
        return torch.where(torch.rand(size, generator=random) < FULL_SHARE, full, part)

    @torch.no_grad()
    def _origin(self, given: Given, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where each row stands: the latents that are noised, and the place in the grid.

        Every other row starts from the photograph; the others stand at the second step of two to
        four, or later, on what the student made in the steps before.
        """
        origin, place = given.frame.clone(), given.first.clone()
        rows = slice(1, None, 2)
        some = given.rows(rows)
        count = torch.tensor((2, 3, 4))[torch.randint(3, some.first.shape, generator=random)]
        drawn = torch.rand(some.first.shape, generator=random)
        done = 1 + (drawn * (count - 1)).long()  # how many steps were taken before
        made = some.frame
        for taken in range(int(done.max())):
            at = place_of(some.first, torch.full_like(count, taken), count)
            nearer = self._step(made, at, some, random)
            made = torch.where((taken < done).view(-1, 1, 1, 1), nearer, made)
        origin[rows], place[rows] = made, place_of(some.first, done, count)
        return origin, place

    def _step(self, origin: Tensor, place: Tensor, given: Given, random: torch.Generator) -> Tensor:
        """What one step of the student makes of some latents, float32 (B, C, h, w)."""
        t, t_first = self._grid[place], self._grid[given.first]
        other = torch.randn(origin.shape, generator=random)
        noise = torch.where((place == given.first).view(-1, 1, 1, 1), given.noise, other)
        z = self._denoiser.noised(origin, noise, t)
        return self._denoiser.clean(
            self._networks.unet, z, given.frame, given.features, t, given.states, t_first
        )


def place_of(first: Tensor, step: Tensor, count: Tensor) -> Tensor:
    """The place in the grid of step number `step` of `count`, as `lcm_timesteps` spaces them."""
    return first - step * (first + 1) // count


def channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def train(
    runs: Path,
    plan: Plan,
    *,
    window: int = 160,
    start: Path | None = None,
    compiled: bool = False,
) -> None:
    """Train in `<runs>/student`; the moving averages are saved there as `unet`, `stem`, `vae`.

    Args:
        window: Side of a training picture in pixels of the frame, a multiple of 16.
        start: A model folder whose UNet and stem give the first weights; drawn by default.
        compiled: Compile the networks' kernels first: minutes at the start, then quicker steps.
    """
    torch.manual_seed(plan.seed)
    folder = runs / "student"
    autoencoder = AutoencoderPatch.from_pretrained(runs / "autoencoder" / "vae")
    autoencoder = autoencoder.to(memory_format=torch.channels_last)
    autoencoder.encoder.requires_grad_(False)
    unet = make_unet() if start is None else UNet2DConditionModel.from_pretrained(start / "unet")
    stem = make_stem() if start is None else Stem.from_pretrained(start / "stem")
    if start is None:  # a prompt says which marks it wants; learned with the text encoder
        stem.mark_head.load_state_dict(torch.load(runs / "text" / "marks.pt", weights_only=True))
    stem.mark_head.requires_grad_(False)
    unet, stem = (network.to(memory_format=torch.channels_last) for network in (unet, stem))
    unet.set_attn_processor(AttnProcessor())  # on few tokens a fifth quicker than fused kernels
    batches = Batches(Paintings(runs / "paintings" / "train"), plan.batch, plan.seed)
    bank = PromptBank.load(runs / "text" / "bank.safetensors")
    if compiled:
        for network in (unet, stem, autoencoder.encoder, autoencoder.decoder):
            network.compile(dynamic=False)
    networks = Networks(unet, stem, autoencoder)
    loss = Student(networks, batches, bank, plan, window)
    parts = nn.ModuleDict({"unet": unet, "stem": stem, "autoencoder": autoencoder})

    def keep(average: nn.Module) -> None:
        assert isinstance(average, nn.ModuleDict)
        for name, part in average.items():
            assert isinstance(part, UNet2DConditionModel | Stem | AutoencoderPatch)
            part.save_pretrained(folder / FOLDERS.get(name, name))

    fit(parts, loss, plan, folder, after_step=loss.after_step, on_checkpoint=keep, shares=RATES)
