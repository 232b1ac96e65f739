"""learn_look: from pairs of pictures to what a LoRA file holds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call

from models.conditioning import TextStage
from models.learning.additions import Additions
from models.learning.distance import Distance, look_distance
from models.learning.learner import Learner, LearningProgress
from models.learning.networks import Networks
from models.learning.pairs import Pair, Picture, make_pair, working_size
from models.learning.word import teach_word
from models.loading import load_engine
from models.styles import STYLES
from models.training.batches import SCALE
from models.training.text import tokenize
from models.weights.lora import WORD_KEY

STEPS = 1500
MINUTES = 10.0
RANK = 32
LEAST_SIZE_PX, MOST_SIZE_PX = 224, 1024
TRIED_SIDE = 160
"""Of the piece of the frame that every look of the model is tried on."""


@dataclass(frozen=True, slots=True, eq=False)
class LearnedLook:
    """What was learned.

    Attributes:
        word: What a prompt says for it.
        tensors: As a LoRA file has them.
        nearest: The model's own look that it started from.
        history: Steps done and distance, half of the whole frames and half of the held-out
            corners, each time that they were looked at; what is kept is of the nearest.
        seconds: It took.
    """

    word: str
    tensors: dict[str, Tensor]
    nearest: str
    history: tuple[tuple[int, Distance], ...]
    seconds: float

    @property
    def best(self) -> tuple[int, Distance]:
        """The steps and the distance of what is kept."""
        return min(self.history, key=lambda look: look[1].mean)

    def save(self, path: Path) -> None:
        """Write the LoRA file, .safetensors.

        Raises:
            OSError: It cannot be written.
        """
        from safetensors.torch import save

        path.write_bytes(save(self.tensors, {"format": "pt", WORD_KEY: self.word}))


def learn_look(
    pictures: Sequence[tuple[Picture, Picture]],
    word: str,
    *,
    model: str = "bundled",
    size: int | None = None,
    steps: int = STEPS,
    minutes: float = MINUTES,
    seed: int = 0,
    offline: bool = False,
    on_progress: Callable[[LearningProgress], None] | None = None,
    is_stopped: Callable[[], bool] | None = None,
) -> LearnedLook:
    """Learn a look from frames and what was painted over them, on the CPU.

    The same pictures, values and number of threads give the same bytes, as long as the time does
    not end it before the steps do.

    Args:
        pictures: Frames and their paintings, uint8 RGB (H, W, 3), both of one shape.
        word: What a prompt will say for the look.
        model: "bundled", or another model that carries noise.
        size: Short side in px at which the look will be painted; the model's own by default.
        steps, minutes: When it ends, whichever comes first.
        seed: Of everything that is drawn.
        offline: Never ask the network for the model.
        on_progress: Told after every step how far it is.
        is_stopped: Asked after every step whether to end with the best so far.

    Raises:
        ValueError: There are no pictures, or the shapes of two that belong together differ.
        ModelError: The model cannot be had, or carries no noise.
    """
    if not pictures:
        raise ValueError("got no pictures, expected at least one frame and its painting")
    began = time.perf_counter()
    engine = load_engine(model, device="cpu", acceleration="off", offline=offline)
    networks = Networks(engine)
    pairs = _pairs(pictures, size or engine.native_size, engine.size_multiple)
    nearest = nearest_look(networks, pairs[0])
    said = _teach(networks, word, nearest, seed)
    others = ["", *(style.prompt for style in STYLES if style.prompt != word)]
    learner = Learner(
        networks,
        pairs,
        networks.asked(_states(networks.text, word, said)),
        [networks.asked(_states(networks.text, prompt, said)) for prompt in others],
        steps,
        minutes,
        seed,
        Additions(networks.trained, RANK, seed, networks.takes),
    )
    learned = learner.learn(on_progress, is_stopped)
    return LearnedLook(
        word,
        {**learned.tensors(), **said.tensors()},
        nearest,
        tuple(learner.history),
        time.perf_counter() - began,
    )


def _pairs(
    pictures: Sequence[tuple[Picture, Picture]], short_side: int, multiple: int
) -> list[Pair]:
    sizes = (
        working_size((frame.shape[1], frame.shape[0]), short_side, multiple)
        for frame, _ in pictures
    )
    return [make_pair(*pair, size) for pair, size in zip(pictures, sizes, strict=True)]


def nearest_look(networks: Networks, pair: Pair) -> str:
    """The model's own look that is nearest to the painting, on a piece from the middle."""
    height, width = pair.frame.shape[2:]
    top, left = ((side - min(side, TRIED_SIDE)) // 32 * 16 for side in (height, width))
    frame = pair.frame[..., top : top + TRIED_SIDE, left : left + TRIED_SIDE]
    large = [SCALE * v for v in (top, left, TRIED_SIDE)]
    photo, painting = (
        image[..., large[0] : large[0] + large[2], large[1] : large[1] + large[2]]
        for image in (pair.photo, pair.painting)
    )

    def distance(look: str) -> float:
        painted = networks.paint(None, frame, networks.asked(_states(networks.text, look)), 0)
        return look_distance(painted, painting, photo).mean

    return min((style.prompt for style in STYLES), key=distance)


def _teach(networks: Networks, word: str, nearest: str, seed: int) -> Additions:
    text = networks.text
    return teach_word(
        text.text_encoder,
        lambda texts: tokenize(text.tokenizer, texts),
        word,
        nearest,
        networks.stem.mark_head.weight.detach(),
        seed,
    )


@torch.no_grad()
def _states(text: TextStage, prompt: str, said: Additions | None = None) -> Tensor:
    """What the text encoder says of a prompt, (1, tokens, width)."""
    ids = tokenize(text.tokenizer, [prompt])
    weights = {} if said is None else said.weights("text_encoder")
    states: Tensor = functional_call(text.text_encoder, weights, (ids,)).last_hidden_state
    return states
