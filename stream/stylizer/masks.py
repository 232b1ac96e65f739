"""Masks: how a user names where the painting shows. Imports nothing heavy; see `regions.py`."""

from pathlib import Path

from models import file_mark

PERSON, BACKGROUND = "person", "background"


def check_mask(mask: str | None) -> None:
    """Refuse what cannot be a mask.

    Raises:
        ValueError: It names nothing that is there.
    """
    if mask is not None and mask not in (PERSON, BACKGROUND) and not Path(mask).is_file():
        raise ValueError(
            f"got mask={mask}, expected {PERSON}, {BACKGROUND}, or a picture or film that exists"
        )


def mask_mark(mask: str | None) -> str | None:
    """What tells a mask from others: its name, or a digest of its file."""
    if mask is None or mask in (PERSON, BACKGROUND):
        return mask
    return file_mark(Path(mask))
