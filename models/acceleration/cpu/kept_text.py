"""The text half of a kept model: a tokenizer and an encoder that need no transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


def write_tokenizer(tokenizer: Any, limit: int, path: Path) -> None:
    """Write what `CachedTokenizer` reads; texts are cut off at `limit` tokens."""
    from tokenizers import Tokenizer

    kept = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    kept.no_truncation()
    kept.no_padding()
    told = {"tokenizer": json.loads(kept.to_str()), "limit": limit, "pad": tokenizer.pad_token_id}
    path.write_text(json.dumps(told), encoding="utf-8")


class CachedTokenizer:
    """What `PromptEncoder` uses of transformers' tokenizer, on the library beneath it."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        told = json.loads(path.read_text(encoding="utf-8"))
        self.model_max_length = int(told["limit"])
        self._whole = Tokenizer.from_str(json.dumps(told["tokenizer"]))
        self._cut = Tokenizer.from_str(json.dumps(told["tokenizer"]))
        self._cut.enable_truncation(self.model_max_length)
        self._cut.enable_padding(length=self.model_max_length, pad_id=told["pad"])

    def __call__(self, text: str, *, truncation: bool, **_: object) -> SimpleNamespace:
        """Token ids: a list, or, cut off and filled up, int64 (1, `model_max_length`)."""
        if not truncation:
            return SimpleNamespace(input_ids=self._whole.encode(text).ids)
        encoded = self._cut.encode(text)
        return SimpleNamespace(
            input_ids=torch.tensor([encoded.ids]),
            attention_mask=torch.tensor([encoded.attention_mask]),
        )


class CachedTextEncoder:
    """What `PromptEncoder` uses of a text encoder: ids (1, T) to hidden states (1, T, W)."""

    device = torch.device("cpu")

    def __init__(self, run: Callable[..., tuple[Tensor, ...]], limit: int) -> None:
        self._run = run
        self.config = SimpleNamespace(max_position_embeddings=limit, use_attention_mask=False)

    def __call__(self, ids: Tensor, **_: object) -> tuple[Tensor, ...]:
        return self._run(ids)
