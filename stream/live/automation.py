"""Automation: every change of a live session with its time in the source, as JSON lines.

{"allaprima": "automation", "version": 1}
{"time": 0, "prompt": "oil painting", "strength": 0.6, ...}     every word: how it begins
{"time": 2.041667, "prompt": "charcoal"}                        a change: cross-faded
{"time": 3.5, "strength": 0.62, "glide": true}                  a step of a knob: shown at once

`time` is in seconds of the source as `--record-source` records it. A change holds from the first
frame of that time or later on. Words are those of `words.WORDS` that are recorded.
"""

import json
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from models import Style
from stream.errors import SinkError
from stream.frame import Frame
from stream.live.controls import Controls, Look
from stream.live.words import LOOK_FIELDS, STYLE_FIELDS, WORDS
from stream.stats import Stats

logger = logging.getLogger(__name__)

KIND = "automation"
VERSION = 1
HEADER = {"allaprima": KIND, "version": VERSION}
RECORDED = tuple(word.name for word in WORDS.values() if word.recorded)

SAME_TIME_S = 0.002
"""Times that differ by no more are the same: Matroska keeps milliseconds."""


@dataclass(frozen=True, slots=True)
class Change:
    """Some words that hold from a time on.

    Attributes:
        time_s: Seconds of the source.
        words: Their values.
        glide: It is one step of many, shown at once.
    """

    time_s: float
    words: dict[str, Any]
    glide: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it sets every word; the first such holds from the first frame."""
        return set(self.words) == set(RECORDED)


class AutomationWriter:
    """Writes the changes of a session, as they come. Belongs to one thread.

    Raises:
        SinkError: The file exists, or cannot be written.
    """

    def __init__(self, path: Path, stats: Stats, *, overwrite: bool = False) -> None:
        self._path = path
        self._stats = stats
        self._before: dict[str, Any] = {}
        try:
            mode = "w" if overwrite else "x"
            self._file: IO[str] | None = path.open(mode, encoding="utf-8", newline="\n")
        except FileExistsError as err:
            raise SinkError(
                f"{path} is already there; allow that with overwrite=True, or give it another name."
            ) from err
        except OSError as err:
            raise SinkError(f"{path} cannot be written ({err.strerror}); choose another.") from err
        self._write(HEADER)

    def take(self, frame: Frame, look: Look) -> None:
        """The look that a frame is painted with."""
        words = recorded_words(look)
        changed = {word: value for word, value in words.items() if self._before.get(word) != value}
        if not changed:
            return
        self._before = words
        line: dict[str, Any] = {"time": round(frame.time_s, 6), **changed}
        if look.gliding and len(changed) < len(words):
            line["glide"] = True
        self._write(line)

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()  # what a crash leaves can be read
        except OSError as err:
            self._stats.note(f"{self._path} could not be written on ({err.strerror}).")
            logger.error("%s could not be written on (%s)", self._path, err.strerror)
            self._file = None


def recorded_words(look: Look) -> dict[str, Any]:
    """The values of the words that change the picture."""
    return {
        word: getattr(look.style, STYLE_FIELDS[word])
        if word in STYLE_FIELDS
        else getattr(look, LOOK_FIELDS[word])
        for word in RECORDED
    }


def read_automation(path: Path) -> list[Change]:
    """The changes of a file, in order of time.

    Raises:
        ValueError: It cannot be read, or a line cannot be used (and its number).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise ValueError(f"got automation={path}, which cannot be read ({err.strerror})") from err
    except UnicodeDecodeError as err:
        raise ValueError(f"got automation={path}, which is no UTF-8 text") from err
    changes: list[Change] = []
    trial = Controls(Look(Style()))
    is_first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = _object(line)
            if is_first:
                _check_header(told)
                is_first = False
                continue
            change = _change(told, changes[-1].time_s if changes else 0.0)
            trial.change(change.words)
        except ValueError as err:
            raise ValueError(f"line {number} of {path}: {err}") from err
        changes.append(change)
    if is_first:
        raise ValueError(f"got automation={path}, which is empty, expected {json.dumps(HEADER)}")
    return changes


def _object(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError('expected a JSON object, such as {"time": 2.5, "strength": 0.7}')
    return told


def _check_header(told: dict[str, Any]) -> None:
    if told.get("allaprima") != KIND:
        raise ValueError(f"expected {json.dumps(HEADER)}")
    if told.get("version") != VERSION:
        raise ValueError(f"got version {told.get('version')!r}, expected {VERSION}")


def _change(told: dict[str, Any], before_s: float) -> Change:
    time_s, glide = told.pop("time", None), told.pop("glide", False)
    is_number = isinstance(time_s, int | float) and not isinstance(time_s, bool)
    if not is_number or not 0 <= time_s < math.inf:
        raise ValueError(f"got time={time_s!r}, expected seconds, 0 or more")
    if time_s < before_s:
        raise ValueError(f"got time={time_s:g}, expected {before_s:g} or more, as the line before")
    if not isinstance(glide, bool):
        raise ValueError(f"got glide={glide!r}, expected true or false")
    unknown = set(told) - set(RECORDED)
    if unknown:
        raise ValueError(f"got {sorted(unknown)[0]!r}, expected some of {', '.join(RECORDED)}")
    return Change(float(time_s), told, glide)


class Performance:
    """Gives each frame of a source the look that its recording says. Belongs to one thread.

    Args:
        changes: In order of time.
        look: What holds of words that have not been set.
        fixed: Words that stay as they are in `look`.
    """

    def __init__(self, changes: Sequence[Change], look: Look, fixed: Collection[str] = ()) -> None:
        self._controls = Controls(look)
        self._changes = changes
        self._fixed = frozenset(fixed)
        self._next = 0
        if changes and changes[0].is_whole:
            self.look_at(changes[0].time_s)

    def look_at(self, time_s: float) -> Look:
        """The look of the frame of this time; times must not go back."""
        glides = True
        while self._next < len(self._changes):
            change = self._changes[self._next]
            if change.time_s > time_s + SAME_TIME_S:
                break
            self._next += 1
            words = {word: one for word, one in change.words.items() if word not in self._fixed}
            self._controls.change(words)
            glides = glides and change.glide
        return replace(self._controls.look, gliding=glides)
