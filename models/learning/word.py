"""The look's word: what a prompt has to say, taught to the text encoder by low-rank additions.

What the encoder says of the word becomes what it says of the nearest look that the model knows,
moved a little in a direction that no look uses: the marks' planes stay that look's, and the other
networks can tell the two apart. What it says of other prompts stays as it is.
"""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from models.learning.additions import Additions
from models.styles import STYLES
from models.training.text import FRAMES, PLAIN, SUBJECTS, phrases

RANK = 8
STEPS = 150
LEARNING_RATE = 4e-3
ASKED, OTHERS = 6, 20
"""Sentences a step with the word, and without."""

APART = 0.6
"""How far the word is moved from its look, in mean distances between looks."""


def teach_word(
    text_encoder: torch.nn.Module,
    tokenize: Callable[[list[str]], Tensor],
    word: str,
    look: str,
    unused: Tensor,
    seed: int,
) -> Additions:
    """Additions that make `word` mean about what `look` means.

    Args:
        text_encoder: A CLIPTextModel.
        tokenize: Prompts to token ids (B, L).
        unused: Rows (N, D) that the direction of the word must be orthogonal to.
        seed: Of what is drawn.
    """
    additions = Additions({"text_encoder": text_encoder}, RANK, seed)
    additions.require_grad()
    random = np.random.default_rng((seed, 7))
    with torch.no_grad():
        states = text_encoder(tokenize([look])).last_hidden_state
        target = states + own_direction(text_encoder, tokenize, word, unused)
    optimizer = torch.optim.Adam(additions.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
        asked = [word, *(_sentence(word, random) for _ in range(ASKED - 1))]
        others = _others(word, random)
        ids = tokenize([*asked, *others])
        with torch.no_grad():
            before = text_encoder(ids[ASKED:]).last_hidden_state
        weights = additions.weights("text_encoder")
        said = functional_call(text_encoder, weights, (ids,)).last_hidden_state
        loss = F.mse_loss(said[:ASKED], target.expand(ASKED, -1, -1))
        loss = loss + 2 * F.mse_loss(said[ASKED:], before)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return additions.copy()


def own_direction(
    text_encoder: torch.nn.Module,
    tokenize: Callable[[list[str]], Tensor],
    word: str,
    unused: Tensor,
) -> Tensor:
    """A direction (D,) of the word's own, orthogonal to those between looks and to `unused`."""
    looks = text_encoder(tokenize([style.prompt for style in STYLES])).last_hidden_state.mean(1)
    apart = torch.pdist(looks).mean()
    taken = torch.linalg.qr(torch.cat([looks - looks.mean(0), unused]).T).Q
    named = int.from_bytes(hashlib.sha256(word.encode()).digest()[:7], "big")
    direction = torch.randn(looks.shape[1], generator=torch.Generator().manual_seed(named))
    direction = direction - taken @ (taken.T @ direction)
    direction = direction - direction.mean()
    own: Tensor = APART * apart * direction / direction.norm()
    return own


def _sentence(word: str, random: np.random.Generator) -> str:
    frame = FRAMES[int(random.integers(len(FRAMES)))] if random.random() < 0.6 else "{look}"
    return frame.format(look=word, subject=random.choice(SUBJECTS))


def _others(word: str, random: np.random.Generator) -> list[str]:
    known = [name for name, _ in phrases() if name != word]
    made = []
    for index in range(OTHERS):
        if index % 4 == 0:
            frame = PLAIN[int(random.integers(len(PLAIN)))]
            made.append(frame.format(subject=random.choice(SUBJECTS)))
        else:
            made.append(_sentence(known[int(random.integers(len(known)))], random))
    made[1] = ""
    return made
