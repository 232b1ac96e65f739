"""Prompts with weights: ``"oil painting:0.7 | neon:0.3"``. Text only; knows no tokens, no torch.

`Engine.encode_prompt` embeds each part and mixes the embeddings linearly with the weights.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass


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


def unknown_looks(texts: Sequence[str], looks: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each prompt that names none of a model's looks; () where it has no list."""
    beginnings = [re.compile(rf"\b{re.escape(look)}") for look in looks]
    return tuple(
        f"{text[:40]!r} names no look that this model knows; `allaprima styles` lists them"
        for text in texts
        if looks and text.strip() and not any(known.search(text.lower()) for known in beginnings)
    )
