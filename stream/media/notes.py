"""The notes of an output about what it took over from the input, written and read in one place."""

import re
from collections.abc import Iterable

COPIED = "Copied bit for bit: "

KIND = re.compile(r"(\w+) #\d+ \(")
NAMES = {"audio": "sound", "subtitle": "subtitles", "attachment": "attachments"}
"""FFmpeg's kinds of streams in a person's words, where they differ."""


def copied(streams: Iterable[str]) -> str:
    """The note that these streams were copied; each is such as ``audio #1 (aac, deu)``."""
    return f"{COPIED}{', '.join(streams)}."


def copied_kinds(notes: Iterable[str]) -> list[str]:
    """What was copied according to the notes: ``sound``, ``subtitles`` and so on, each once."""
    found = [kind for note in notes if note.startswith(COPIED) for kind in KIND.findall(note)]
    return list(dict.fromkeys(NAMES.get(kind, kind) for kind in found))
