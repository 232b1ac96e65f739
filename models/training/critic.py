"""A critic of latents, for stage `distil`: does this look like the teachers' painting of the frame?

A loss that compares picture with picture rewards the mean of all strokes that could be there, which
is none. The critic sees the frame beside the painting (arXiv 1611.07004), knows the look by
projection (arXiv 1802.05637) and learns with the hinge loss and spectral norms (arXiv 1802.05957)
to tell the teachers' latents from the student's, patch by patch. Working on latents makes it cheap
(arXiv 2403.12015).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.styles import STYLES
from models.training.loop import autocast

CLASSES = 1 + len(STYLES)
WIDTHS = (96, 128, 160)
LEARNING_RATE = 6e-4


class Critic(nn.Module):
    """(latents, frame latents, w, look) -> patch scores (B, h/2, w/2), high for a painting.

    Args:
        channels: Of the latents.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.body = nn.Sequential(
            spectral_norm(nn.Conv2d(2 * channels + 1, first, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(first, second, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(second, third, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(third, third, 3, padding=1)),
            nn.LeakyReLU(0.2),
        )
        self.score = spectral_norm(nn.Conv2d(third, 1, 1))
        self.looks = spectral_norm(nn.Embedding(CLASSES, third))

    def forward(self, latents: Tensor, frame: Tensor, w: Tensor, looks: Tensor) -> Tensor:
        """`w`: (B, 1, 1, 1), how far the painting goes from the frame; `looks`: int64 (B,)."""
        plane = w.expand(-1, 1, *latents.shape[2:])
        inputs = torch.cat([latents - frame, frame, plane], 1)
        with autocast(latents.device):
            features = self.body(inputs.contiguous(memory_format=torch.channels_last))
            scores: Tensor = self.score(features)[:, 0]
        return scores.float() + torch.einsum("bchw,bc->bhw", features.float(), self.looks(looks))


class CriticLoop:
    """A critic with its optimiser: judges the student, then learns from the same pictures."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._optimizer = torch.optim.Adam(critic.parameters(), LEARNING_RATE, (0.0, 0.99))
        self._seen: tuple[Tensor, ...] | None = None

    def loss(
        self, painted: Tensor, wanted: Tensor, frame: Tensor, w: Tensor, looks: Tensor
    ) -> Tensor:
        """What the critic finds wanting in `painted`, a scalar; remembers the batch for `learn`."""
        self._seen = painted.detach(), wanted, frame, w, looks
        self._critic.requires_grad_(False)
        return -self._critic(painted, frame, w, looks).mean()

    def learn(self) -> float:
        """One step on the batch seen last; returns the hinge loss."""
        assert self._seen is not None
        painted, wanted, frame, w, looks = self._seen
        self._critic.requires_grad_(True)
        real, made = self._critic(
            torch.cat([wanted, painted]), frame.repeat(2, 1, 1, 1), w.repeat(2, 1, 1, 1),
            looks.repeat(2),
        ).chunk(2)  # fmt: skip
        hinge = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        self._optimizer.zero_grad(set_to_none=True)
        hinge.backward()
        self._optimizer.step()
        return hinge.item()

    def save(self, path: Path) -> None:
        state = {"critic": self._critic.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save(state, path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._critic.load_state_dict(state["critic"])
        self._optimizer.load_state_dict(state["optimizer"])


def balanced(adversarial: Tensor, compared: Tensor, at: Tensor, share: float) -> Tensor:
    """The adversarial loss, weighed so that it pulls at `at` with `share` of the other's force.

    The ratio of gradient norms (arXiv 2012.09841, equation 7), taken at the student's latents.
    """
    forces = [
        torch.autograd.grad(loss, at, retain_graph=True)[0] for loss in (compared, adversarial)
    ]
    weight = share * forces[0].norm() / forces[1].norm().clamp(min=1e-6)
    return adversarial * weight.clamp(max=10).detach()
