"""Stage `lcm-lora`: the same distillation on a full-size teacher, training a LoRA alone.

LCM-LoRA (arXiv 2311.05556): the student is the teacher with low-rank additions to its layers, and
only these learn. One step of the loop is latent consistency distillation (arXiv 2310.04378,
algorithm 1): noise a picture's latents to a far timestep, let the frozen teacher take one guided
DDIM step to a nearer one, and pull f at the far end to f at the near end. The student's own output,
without a gradient, is the target, as in diffusers' LCM-LoRA recipe; no average is kept.

The file that comes out is fused by ``--lora FILE`` here and by ``load_lora_weights`` in diffusers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from models.schedule import ScheduleConfig, cumulative_alphas
from models.training.batches import to_image
from models.training.denoiser import SIGMA_DATA, TIMESTEP_SCALING, pseudo_huber
from models.training.loop import Plan, autocast, best_device, fit, generator
from models.training.material.pictures import cut, decode
from models.weights.file_selection import LORA_NAME

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
           "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv",
           "time_emb_proj")  # fmt: skip
"""Endings of the layers that get an addition: those of the published LCM-LoRAs."""

GRID_STEPS = 50
SKIP = 1
GUIDANCE = 7.5


class LowRank(nn.Module):
    """up(down(x)), shaped like one layer; `up` starts at zero: training starts at the teacher."""

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.down: nn.Linear | nn.Conv2d
        self.up: nn.Linear | nn.Conv2d
        if isinstance(base, nn.Conv2d):
            side, stride = base.kernel_size[0], base.stride[0]
            padding = side // 2
            self.down = nn.Conv2d(base.in_channels, rank, side, stride, padding, bias=False)
            self.up = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(base.in_features, rank, bias=False)
            self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.up(self.down(x))
        return change


class Additions(nn.Module):
    """The low-rank additions of a UNet: what is trained, switched and saved; no base weights."""

    def __init__(self, unet: UNet2DConditionModel, rank: int) -> None:
        super().__init__()
        unet.requires_grad_(False)
        self.enabled = True
        self.names: list[str] = []
        self.layers = nn.ModuleList()
        for name, module in list(unet.named_modules()):
            if isinstance(module, nn.Linear | nn.Conv2d) and name.endswith(TARGETS):
                layer = LowRank(module, rank)
                module.register_forward_hook(partial(self._add, layer))
                self.names.append(name)
                self.layers.append(layer)

    def _add(
        self, layer: LowRank, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> Tensor | None:
        return output + layer(inputs[0]) if self.enabled else None

    @contextmanager
    def off(self) -> Iterator[None]:
        """The teacher: the UNet without the additions."""
        before, self.enabled = self.enabled, False
        try:
            yield
        finally:
            self.enabled = before

    def save(self, path: Path) -> None:
        """Safetensors in diffusers' key layout, half precision."""
        weights = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            assert isinstance(layer, LowRank)
            for key, part in (("lora_A", layer.down), ("lora_B", layer.up)):
                weights[f"unet.{name}.{key}.weight"] = (
                    part.weight.detach().half().cpu().contiguous()
                )
        save_file(weights, path)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A full pipeline's parts, frozen."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    alphas_cumprod: Tensor

    @classmethod
    def load(cls, folder: str, device: torch.device) -> "Teacher":
        """From a diffusers folder or hub id of an SD 1.x / 2.x pipeline (epsilon prediction).

        Raises:
            ValueError: The pipeline is of another kind, such as SDXL, or predicts something else.
        """
        kind = UNet2DConditionModel.load_config(folder, subfolder="unet")
        if kind.get("addition_embed_type") is not None:
            raise ValueError(
                f"{folder} is no teacher for lcm-lora, which distils SD 1.x and 2.x: its UNet "
                "wants more than a prompt, as that of SDXL does."
            )
        config = ScheduleConfig.from_config(
            DDPMScheduler.load_config(folder, subfolder="scheduler")
        )
        if config.prediction_type != "epsilon":
            raise ValueError(f"got prediction_type={config.prediction_type!r}, expected 'epsilon'")
        options = {"use_safetensors": True}
        parts = (
            UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **options),
            AutoencoderKL.from_pretrained(folder, subfolder="vae", **options),
            CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **options),
        )
        for part in parts:
            part.to(device).requires_grad_(False).eval()
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
        return cls(*parts, tokenizer, cumulative_alphas(config).float().to(device))

    @torch.no_grad()
    def states(self, prompts: list[str]) -> Tensor:
        """Prompt states (B, L, D)."""
        ids = self.tokenizer(
            prompts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        states: Tensor = self.text_encoder(ids.to(self.alphas_cumprod.device)).last_hidden_state
        return states

    @torch.no_grad()
    def latents(self, images: Tensor) -> Tensor:
        """The mode of the posterior, scaled."""
        mode: Tensor = self.vae.encode(images).latent_dist.mode()
        scaled: Tensor = mode * self.vae.config.scaling_factor
        return scaled


class Distillation:
    """The loss of a step."""

    def __init__(
        self, teacher: Teacher, additions: Additions, pictures: list[Path], plan: Plan, window: int
    ) -> None:
        self._teacher, self._additions, self._pictures = teacher, additions, pictures
        self._plan, self._window = plan, window
        stride = len(teacher.alphas_cumprod) // GRID_STEPS
        self._grid = torch.arange(1, GRID_STEPS + 1) * stride - 1
        self._empty = teacher.states([""])

    def __call__(self, step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng((self._plan.seed, step))
        chosen = [
            self._pictures[int(k)] for k in draw.integers(0, len(self._pictures), self._plan.batch)
        ]
        device = self._teacher.alphas_cumprod.device
        crops = np.stack([cut(decode(p.read_bytes()), draw, self._window) for p in chosen])
        latents = self._teacher.latents(to_image(crops).to(device))
        states = self._teacher.states([caption(path) for path in chosen])
        random = generator(self._plan.seed, step)
        place = torch.randint(SKIP, GRID_STEPS, (self._plan.batch,), generator=random)
        far, near = (self._grid[p].to(device) for p in (place, place - SKIP))
        noise = torch.randn(latents.shape, generator=random).to(device)
        z = self._mix(latents, noise, far)
        with torch.no_grad():
            z_near = self._solve(z, far, near, states)
            target = self._clean(z_near, near, states)
        return {"consistency": pseudo_huber(self._clean(z, far, states), target).mean()}

    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = self._teacher.alphas_cumprod[t].view(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def _mix(self, x0: Tensor, epsilon: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = self._alpha_sigma(t)
        return alpha * x0 + sigma * epsilon

    def _epsilon(self, z: Tensor, t: Tensor, states: Tensor) -> Tensor:
        with autocast(z.device):
            epsilon: Tensor = self._teacher.unet(z, t, encoder_hidden_states=states).sample
        return epsilon.float()

    def _clean(self, z: Tensor, t: Tensor, states: Tensor) -> Tensor:
        """f(z_t, t) of the student."""
        alpha, sigma = self._alpha_sigma(t)
        x0 = (z - sigma * self._epsilon(z, t, states)) / alpha
        scaled = t.float().view(-1, 1, 1, 1) * TIMESTEP_SCALING
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        return c_skip * z + scaled / (scaled**2 + SIGMA_DATA**2).sqrt() * x0

    def _solve(self, z: Tensor, far: Tensor, near: Tensor, states: Tensor) -> Tensor:
        """One guided DDIM step of the teacher."""
        with self._additions.off():
            told = self._epsilon(z, far, states)
            untold = self._epsilon(z, far, self._empty.expand(len(z), -1, -1))
        epsilon = untold + GUIDANCE * (told - untold)
        alpha, sigma = self._alpha_sigma(far)
        return self._mix((z - sigma * epsilon) / alpha, epsilon, near)


def caption(path: Path) -> str:
    """The text file beside a picture, or the picture's name in words."""
    text = path.with_suffix(".txt")
    return text.read_text().strip() if text.exists() else path.stem.replace("_", " ")


def train(
    teacher_folder: str, pictures: list[Path], folder: Path, plan: Plan, *, rank: int = 64,
    window: int = 512,
) -> Path:  # fmt: skip
    """Distil a LoRA from the teacher on captioned pictures; returns the file.

    Raises:
        ValueError: There are no pictures, or the teacher is none (see `Teacher.load`).
    """
    if not pictures:
        raise ValueError("got no pictures, expected at least one .jpg, .png or .webp")
    torch.manual_seed(plan.seed)
    teacher = Teacher.load(teacher_folder, best_device())
    additions = Additions(teacher.unet, rank).to(best_device())
    average = fit(additions, Distillation(teacher, additions, pictures, plan, window), plan, folder)
    assert isinstance(average, Additions)
    path = folder / LORA_NAME
    average.save(path)
    return path


def find_pictures(folder: Path) -> list[Path]:
    """Every readable picture below a folder, in order."""
    return sorted(
        p for p in folder.rglob("*")
        if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and cv2.haveImageReader(str(p))
    )  # fmt: skip
