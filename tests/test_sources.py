"""What the hub and the disk can do wrong while a part is loaded: one sentence each. No network."""

import errno
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from transformers.utils import logging as transformers_logging

from models import ModelError, ModelFormatError, ModelNotFoundError, load_engine
from models.sources import Part, loading

RESPONSE: Any = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (GatedRepoError("no", response=RESPONSE), ModelNotFoundError, "accept its licence"),
        (RepositoryNotFoundError("no", response=RESPONSE), ModelNotFoundError, "nearest presets"),
        (OfflineModeIsEnabled("no"), ModelNotFoundError, "offline mode"),
        (LocalEntryNotFoundError("no"), ModelNotFoundError, "cannot be reached"),
        (ConnectionError("no"), ModelNotFoundError, "cannot be reached"),
        (EntryNotFoundError("no"), ModelFormatError, "cannot be loaded"),
        (OSError(errno.ENOSPC, "no space"), ModelError, "disk is full"),
    ],
)
def test_what_the_hub_can_do_wrong_is_one_sentence(
    error: Exception, kind: type[ModelError], words: str
) -> None:
    with pytest.raises(kind, match=words) as info, loading(Part("some/model")):
        try:
            raise error
        except (OSError, EntryNotFoundError) as err:
            raise OSError("as diffusers wraps it") from err
    assert type(info.value) is kind


def test_hub_model_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="not in the local cache and offline mode is on"):
        load_engine("some/model", device="cpu")


def test_progress_bars_are_left_as_they_were(tmp_path: Any) -> None:
    assert transformers_logging.is_progress_bar_enabled()
    with loading(Part(str(tmp_path))):
        assert not transformers_logging.is_progress_bar_enabled()
    assert transformers_logging.is_progress_bar_enabled()
    with loading(Part("some/model")):
        assert transformers_logging.is_progress_bar_enabled()
