"""A critic of pictures, for stage `distil`: is this the teachers' painting of the photograph?

A loss that compares pixel with pixel rewards the mean of all strokes that could be there, which is
none. The critic sees the photograph beside the painting (arXiv 1611.07004), knows the look by
projection (arXiv 1802.05637) and learns with the hinge loss and spectral norms (arXiv 1802.05957)
to tell the teachers' pictures from the student's, patch by patch. The student has to please it, and
to give it the same features as the painting does (arXiv 1711.11585, section 3.2). It also learns to
name the looks of the teachers' pictures, and the student's shall be named as theirs are (an
auxiliary classifier, arXiv 1610.09585): no patch of strokes shows that the whole is a little blue.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.styles import STYLES
from models.training.loop import autocast

CLASSES = 1 + len(STYLES)
WIDTHS = (64, 128, 128, 192)
LEARNING_RATE = 5e-4

FEATURE_WEIGHT = 4.0
"""Of the features' distance beside the score."""

NAMING_WEIGHT = 1.0
"""Of the right name beside the score."""

NAMED_FROM = 0.7
"""Share of the look in a picture from which on it has to be named."""


class Critic(nn.Module):
    """(painting, photograph, w, look) -> patch scores (B, H/8, W/8), and features."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.body = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(2 * 12 + 1, a, 3, padding=1)),
                spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(b, c, 3, padding=1)),
                spectral_norm(nn.Conv2d(c, d, 4, stride=2, padding=1)),
            ]
        )
        self.score = spectral_norm(nn.Conv2d(d, 1, 1))
        self.looks = spectral_norm(nn.Embedding(CLASSES, d))
        statistics = 2 * (3 + sum(WIDTHS))
        self.head = nn.Sequential(
            nn.LayerNorm(statistics), nn.Linear(statistics, 128), nn.SiLU(), nn.Linear(128, CLASSES)
        )

    def forward(
        self, painting: Tensor, photo: Tensor, w: Tensor, looks: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Images (B, 3, H, W) in [-1, 1], H and W multiples of 8; `looks`: int64 (B,).

        `w`: (B, 1, 1, 1), how far the painting goes from the photograph.
        """
        x = F.pixel_unshuffle(torch.cat([painting, photo], 1), 2)
        x = torch.cat([x, w.expand(-1, 1, *x.shape[2:])], 1)
        features = []
        with autocast(x.device):
            x = x.contiguous(memory_format=torch.channels_last)
            for layer in self.body:
                x = F.leaky_relu(layer(x), 0.2)
                features.append(x)
            scores: Tensor = self.score(x)[:, 0]
        return scores.float() + torch.einsum("bchw,bc->bhw", x.float(), self.looks(looks)), features

    def misnamed(
        self, painting: Tensor, features: list[Tensor], w: Tensor, looks: Tensor
    ) -> Tensor:
        """Cross-entropy of the looks, from means and spreads of colours and features; a scalar."""
        planes = [painting, *(plane.float() for plane in features)]
        pooled = torch.cat([s for p in planes for s in (p.mean((2, 3)), p.std((2, 3)))], 1)
        missed = F.cross_entropy(self.head(pooled), looks, reduction="none")
        shown = (w.flatten() >= NAMED_FROM) | (looks == 0)
        return (missed * shown).sum() / shown.sum().clamp(min=1)


class CriticLoop:
    """A critic with its optimiser: judges the student, then learns from the same pictures."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._optimizer = torch.optim.Adam(critic.parameters(), LEARNING_RATE, (0.0, 0.99))
        self._seen: tuple[Tensor, ...] | None = None

    def loss(
        self, painted: Tensor, wanted: Tensor, photo: Tensor, w: Tensor, looks: Tensor
    ) -> Tensor:
        """What the critic finds wanting in `painted`, a scalar; remembers the batch for `learn`."""
        self._seen = painted.detach(), wanted, photo, w, looks
        self._critic.requires_grad_(False)
        scores, features = self._critic(painted, photo, w, looks)
        with torch.no_grad():
            _, taught = self._critic(wanted, photo, w, looks)
        apart = [
            (a.float() - b.float()).abs().mean() for a, b in zip(features, taught, strict=True)
        ]
        misnamed = self._critic.misnamed(painted, features, w, looks)
        loss: Tensor = (
            FEATURE_WEIGHT * torch.stack(apart).mean() - scores.mean() + NAMING_WEIGHT * misnamed
        )
        return loss

    def learn(self) -> float:
        """One step on the batch seen last; returns the hinge loss. Only the teachers' are named."""
        assert self._seen is not None
        painted, wanted, photo, w, looks = self._seen
        self._critic.requires_grad_(True)
        scores, features = self._critic(
            torch.cat([wanted, painted]), photo.repeat(2, 1, 1, 1), w.repeat(2, 1, 1, 1),
            looks.repeat(2),
        )  # fmt: skip
        real, made = scores.chunk(2)
        hinge = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        taught = [plane[: len(wanted)] for plane in features]
        misnamed = self._critic.misnamed(wanted, taught, w, looks)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(hinge + misnamed)
        self._optimizer.step()
        return hinge.item()

    def save(self, path: Path) -> None:
        state = {"critic": self._critic.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save(state, path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._critic.load_state_dict(state["critic"])
        self._optimizer.load_state_dict(state["optimizer"])


def force_ratio(compared: Tensor, adversarial: Tensor, at: Tensor) -> float:
    """The ratio of the gradients' norms at `at` (arXiv 2012.09841, equation 7).

    Multiplied by it, the adversarial loss pulls there as hard as the other.
    """
    forces = [
        torch.autograd.grad(loss, at, retain_graph=True)[0] for loss in (compared, adversarial)
    ]
    return float(forces[0].norm() / forces[1].norm().clamp(min=1e-9))
