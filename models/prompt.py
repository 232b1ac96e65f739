"""Prompts with weights: ``"oil painting:0.7 | neon:0.3"``. Text only; knows no tokens, no torch.

`Engine.encode_prompt` embeds each part and mixes the embeddings linearly with the weights.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

FILLERS = {
    *("a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "like", "of", "on", "the"),
    *("art", "artwork", "drawing", "look", "painted", "painting", "picture", "print", "style"),
    *("styled", "to", "with"),
}
"""Words beside a look that ask for nothing else."""

NEAR, NEAR_LETTERS = 0.85, 5
"""How alike a word and a look must be (difflib's ratio) for a misspelling, and how long it."""


@dataclass(frozen=True, slots=True)
class WeightedPrompt:
    """One part of a prompt; the weights of all the parts sum to 1."""

    text: str
    weight: float


def parse_prompt(prompt: str) -> tuple[WeightedPrompt, ...]:
    """Split at ``|``; a part may end in ``:weight`` (1 without one). Weights are scaled to sum 1.

    A colon that no number follows belongs to the text (``"style: oil"``), as does one between
    whole numbers (``"16:9"``, ``"at 10:30"``). Empty parts are left out; a prompt with none but
    empty parts is the one prompt ``""``.

    Raises:
        ValueError: A weight is negative or not finite, or all of them are zero; or the prompt has
            bytes in it that were no UTF-8.
    """
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in prompt):
        raise ValueError(f"got the prompt {prompt!r}, expected text in UTF-8")
    parts = [_split_weight(part) for part in prompt.split("|")]
    parts = [part for part in parts if part.text] or [WeightedPrompt("", 1.0)]
    for part in parts:
        if not (math.isfinite(part.weight) and part.weight >= 0):
            raise ValueError(
                f"got weight {part.weight} for {part.text!r} in the prompt, expected 0 or more"
            )
    total = sum(part.weight for part in parts)  # not fsum, which overflows with an error
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"got weights with sum {total} in {prompt!r}, expected more than 0")
    return tuple(WeightedPrompt(part.text, part.weight / total) for part in parts)


def _split_weight(part: str) -> WeightedPrompt:
    text, colon, number = part.rpartition(":")
    is_ratio = text[-1:].isdigit() and number.strip().isdigit()
    if colon and not is_ratio and "_" not in number:  # float("1_0") is 10, no user means that
        try:
            return WeightedPrompt(text.strip(), float(number))
        except ValueError:
            pass
    return WeightedPrompt(part.strip(), 1.0)


def understood(text: str, looks: Sequence[str]) -> tuple[str, str | None]:
    """What a model with a list of looks is given for a prompt, and a sentence where that is not all
    of it: the looks without the rest, a look for its misspelling, nothing for what names none.
    """
    if not looks or not text.strip():
        return text, None
    rest, found = text.lower(), list[str]()
    for look in sorted(looks, key=len, reverse=True):
        rest, count = re.subn(rf"\b{re.escape(look)}\w*", " ", rest)
        found += [look] if count else []
    found.sort(key=text.lower().index)
    words = [word for word in re.findall(r"[^\W\d_]{2,}", rest) if word not in FILLERS]
    shown = repr(text[:40])
    if found:
        read = f"{shown} is read as {' and '.join(found)}; not understood: {' '.join(words)}"
        return (", ".join(found), read) if words else (text, None)
    near = _near(words, looks)
    if near is not None:
        return near, f"{shown} is read as {near}"
    return "", (
        f"{shown} names no look that this model knows, so the picture stays much as it is; "
        "`allaprima styles` lists them"
    )


def _near(words: Sequence[str], looks: Sequence[str]) -> str | None:
    """The look that some of the words are a misspelling of."""
    names = {look.replace(" ", ""): look for look in looks}
    for length in (3, 2, 1):
        for begin in range(len(words) - length + 1):
            joined = "".join(words[begin : begin + length])
            near = get_close_matches(joined, names, n=1, cutoff=NEAR)
            if near and len(joined) >= NEAR_LETTERS:
                return names[near[0]]
    return None
