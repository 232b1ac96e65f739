"""The training: windows of the pairs, and some that shall stay as they were.

Each step paints windows under fresh noise and compares them with the painting (`losses.py`). One
window in `KEEP_EVERY` is asked for another look, or for none, and shall come out as the model had
it; and photographs are restored from their own latents. Every so often the average of the
additions paints the held-out corners; the best of these averages is what is kept, so that learning
the pair by heart does no harm.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.learning.additions import Additions
from models.learning.distance import Distance, look_distance
from models.learning.losses import look_losses
from models.learning.networks import FULL_PLACE, Asked, Networks
from models.learning.pairs import Pair, Pairs, Windows
from models.training.autoencoder import picture_loss
from models.training.denoiser import pseudo_huber
from models.training.looks import GRID, share
from models.training.loop import generator

Picture = NDArray[np.uint8]

WINDOW = 128
WINDOWS = 2
"""Of a step."""

LEARNING_RATE = 2e-3
WARMUP_STEPS = 20
DECAY = 0.98
"""Of the average, at least; early on it forgets sooner."""

LEAST_PLACE = 3
FULL_SHARE = 0.7
"""Of the windows are painted at full strength, the others lighter."""

LATER_SHARE = 0.2
"""Of the windows stand at a later step of several."""

KEEP_EVERY = 3
"""Steps of which one has a window that shall stay as it was."""

KEEP_WEIGHT, RESTORED_WEIGHT = 1.0, 0.3
LARGEST_GRADIENT = 1.0
LOOKS = 12
"""Times that the held-out corners are looked at."""


@dataclass(frozen=True, slots=True)
class LearningProgress:
    """How far it is.

    Attributes:
        step, steps: Steps done, and how many there will be at most.
        left_s: Seconds to go, as far as can be told.
        distance: Of what is painted from the painting, as a share of the photograph's, when it was
            last looked at: half of the whole frames, half of the held-out corners.
        best: The least so far, which is what is kept.
        preview: uint8 RGB: the first frame, its painting, and what is painted by now, side by side;
            where the corners have just been looked at.
    """

    step: int
    steps: int
    left_s: float
    distance: Distance
    best: Distance
    preview: Picture | None = None


@dataclass(slots=True)
class Learner:
    """Learns one look. Not thread-safe.

    Attributes:
        networks, pairs: What learns, and from what.
        asked: What the look's word says.
        others: What other prompts say, the empty one first.
        steps, minutes: When it ends, whichever is first.
        seed: Of everything that is drawn.
        history: (step, distance) of each look at the held-out corners.
    """

    networks: Networks
    pairs: Sequence[Pair]
    asked: Asked
    others: Sequence[Asked]
    steps: int
    minutes: float
    seed: int
    additions: Additions
    history: list[tuple[int, Distance]] = field(default_factory=list)

    def learn(
        self,
        on_progress: Callable[[LearningProgress], None] | None = None,
        is_stopped: Callable[[], bool] | None = None,
    ) -> Additions:
        """The best additions; changes `additions`, which it starts from."""
        began, windows = time.perf_counter(), Pairs(self.pairs, self.seed)
        self.additions.require_grad()
        optimizer = torch.optim.Adam(
            self.additions.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99)
        )
        average = best = self.additions.copy()
        tell = on_progress or (lambda progress: None)
        self._look(average, tell, 0, math.inf)
        done = 0.0
        for step in range(self.steps):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * rate_factor(step, done)
            self._step(step, windows, optimizer)
            average.follow(self.additions, min(DECAY, step / (step + 10)))
            elapsed_s = time.perf_counter() - began
            stopped = is_stopped is not None and is_stopped()
            done = max((step + 1) / self.steps, elapsed_s / (60 * self.minutes))
            left_s = elapsed_s * (1 - done) / done
            is_last = stopped or done >= 1
            if is_last or int(LOOKS * done) >= len(self.history):
                if self._look(average, tell, step + 1, 0 if is_last else left_s):
                    best = average.copy()
            else:
                tell(LearningProgress(step + 1, self.steps, left_s, self.history[-1][1], self.best))
            if is_last:
                break
        return best

    @property
    def best(self) -> Distance:
        return min((distance for _, distance in self.history), key=lambda d: d.mean)

    def _look(
        self, average: Additions, tell: Callable[[LearningProgress], None], step: int, left_s: float
    ) -> bool:
        """Look at the held-out corners; whether they were never nearer to their paintings."""
        distances, first = [], None
        for pair in self.pairs:
            painted = self.networks.paint(average, pair.frame, self.asked, self.seed + 1)
            first = painted if first is None else first
            images = painted, pair.painting, pair.photo
            distances += [look_distance(*images), look_distance(*map(pair.held_of, images))]
        mean = Distance(*(sum(column) / len(column) for column in zip(*distances, strict=True)))
        is_best = not self.history or mean.mean < self.best.mean
        self.history.append((step, mean))
        assert first is not None
        preview = sheet(self.pairs[0].photo, self.pairs[0].painting, first)
        tell(LearningProgress(step, self.steps, left_s, mean, self.best, preview))
        return is_best

    def _step(self, step: int, windows: Pairs, optimizer: torch.optim.Optimizer) -> None:
        random = generator(self.seed, step)
        losses = self._look_losses(windows.draw(step, WINDOWS, WINDOW), random)
        if step % KEEP_EVERY == 0:
            losses |= self._keeping(windows.draw(self.steps + step, 1, WINDOW), random)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.additions.parameters(), LARGEST_GRADIENT)
        optimizer.step()

    def _look_losses(self, windows: Windows, random: torch.Generator) -> dict[str, Tensor]:
        networks, count = self.networks, len(windows.frame)
        first = drawn_first(count, random)
        w = share(networks.grid[first]).view(-1, 1, 1, 1)
        wanted = torch.lerp(windows.photo, windows.painting, w).clamp(-1, 1)
        encoded = networks.encode(windows.frame)
        halves = torch.nn.functional.avg_pool2d(windows.painting, 2)
        nearly = torch.lerp(encoded, networks.encode(halves), w)  # what earlier steps would make
        is_later = torch.rand(count, generator=random) < LATER_SHARE
        drawn = (torch.rand(count, generator=random) * first).long().clamp(min=1)
        latents = networks.latents(
            self.additions,
            windows.frame,
            carried(windows.frame, random),
            self.asked,
            random,
            first=first,
            encoded=encoded,
            origin=torch.where(is_later.view(-1, 1, 1, 1), nearly, encoded),
            place=torch.where(is_later, drawn, first),
        )
        painted = networks.decode(self.additions, latents)
        return look_losses(painted, wanted, windows.photo, random)

    def _keeping(self, windows: Windows, random: torch.Generator) -> dict[str, Tensor]:
        """Another prompt paints what it did; the photograph's own latents are the photograph."""
        networks, frame = self.networks, windows.frame
        index = int(torch.randint(2 * len(self.others), (1,), generator=random))
        asked = self.others[max(0, index - len(self.others))]  # the empty one half of the time
        noise, encoded = carried(frame, random), networks.encode(frame)
        given, seed = (frame, noise, asked), int(torch.randint(2**40, (1,), generator=random))
        with torch.no_grad():
            before = networks.latents(None, *given, generator(seed, 0), encoded=encoded)
        now = networks.latents(self.additions, *given, generator(seed, 0), encoded=encoded)
        restored = networks.decode(self.additions, encoded)
        return {
            "kept": KEEP_WEIGHT * pseudo_huber(now, before).mean(),
            "restored": RESTORED_WEIGHT * picture_loss(restored, windows.photo),
        }


def rate_factor(step: int, done: float) -> float:
    """Of the learning rate: a short rise, then half a cosine."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def drawn_first(count: int, random: torch.Generator) -> Tensor:
    """Places in the grid of first steps, int64 (count,): most of them where a look is whole."""
    full = torch.randint(FULL_PLACE, len(GRID), (count,), generator=random)
    full[torch.rand(count, generator=random) < 0.6] = FULL_PLACE  # the strength that is the default
    part = torch.randint(LEAST_PLACE, FULL_PLACE, (count,), generator=random)
    return torch.where(torch.rand(count, generator=random) < FULL_SHARE, full, part)


def carried(frame: Tensor, random: torch.Generator) -> Tensor:
    """Noise at half the frame's sides: (B, 1, H/2, W/2)."""
    size = len(frame), 1, frame.shape[2] // 2, frame.shape[3] // 2
    return torch.randn(size, generator=random)


def sheet(*images: Tensor) -> Picture:
    """Images (1, 3, H, W) side by side, uint8 RGB."""
    pictures = [((image[0] + 1) * 127.5).clamp(0, 255).round().byte() for image in images]
    return np.ascontiguousarray(torch.cat(pictures, 2).permute(1, 2, 0).numpy())
