"""Automation: a recorded performance, every change with its time in the source, as JSON lines.

Written by a live session and read back; a bad line is named by its number.

{"allaprima": "automation", "version": 1}
{"time": 0, "prompt": "oil painting", "strength": 0.6, ...}     every word: how it begins
{"time": 2.041667, "prompt": "charcoal"}                        a change: cross-faded
{"time": 3.5, "strength": 0.62, "glide": true}                  a step of a knob: shown at once
{"time": 8, "prompt": "fog", "over": 4, "ease": "smooth"}       on its way from 8 to 12 s

With "tempo" in the first line, places are "beat" in place of "time", and "over" is in beats.

`time` is in seconds of the source as `--record-source` records it. A change holds from the first
frame of that time or later on. Words are those of `words.WORDS` that are recorded.
"""

import json
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from models import Style
from stream.errors import SinkError
from stream.frame import Frame
from stream.live.beat_clock import checked_tempo
from stream.live.controls import Controls, Look
from stream.live.schedule import EASES, TRAVELLING, Change
from stream.live.words import LOOK_FIELDS, STYLE_FIELDS, WORDS
from stream.stats import Stats

logger = logging.getLogger(__name__)

KIND = "automation"
VERSION = 1
HEADER = {"allaprima": KIND, "version": VERSION}
RECORDED = tuple(word.name for word in WORDS.values() if word.recorded)


@dataclass(frozen=True, slots=True)
class Automation:
    """What a file says.

    Attributes:
        changes: In order; their places are seconds, or beats where there is a tempo.
        tempo: Beats a minute; ``None`` where places are seconds.
        first_beat_s: When beat 0 is, in seconds.
    """

    changes: tuple[Change, ...]
    tempo: float | None = None
    first_beat_s: float = 0.0

    @property
    def begins_whole(self) -> bool:
        """Whether the first change sets every word; it holds from the first frame."""
        return bool(self.changes) and set(self.changes[0].words) == set(RECORDED)

    def in_seconds(self) -> tuple[Change, ...]:
        """The changes by the time of a film."""
        changes = self.changes
        if self.tempo is not None:
            beat_s = 60 / self.tempo
            changes = tuple(
                replace(
                    one,
                    time_s=round(self.first_beat_s + one.time_s * beat_s, 6),
                    over=one.over * beat_s,
                )
                for one in changes
            )
        if self.begins_whole:
            changes = (replace(changes[0], time_s=0.0), *changes[1:])
        return changes


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


def read_automation(path: Path) -> Automation:
    """
    Raises:
        ValueError: It cannot be read, or a line cannot be used (and its number).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise ValueError(f"got automation={path}, which cannot be read ({err.strerror})") from err
    except UnicodeDecodeError as err:
        raise ValueError(f"got automation={path}, which is no UTF-8 text") from err
    reader, is_first = AutomationReader(), True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = _object(line)
            if is_first:
                _check_header(told)
                reader.begin(told)
            else:
                reader.take(told)
            is_first = False
        except ValueError as err:
            raise ValueError(f"line {number} of {path}: {err}") from err
    if is_first:
        raise ValueError(f"got automation={path}, which is empty, expected {json.dumps(HEADER)}")
    return reader.automation


class AutomationReader:
    """Takes changes as files have them, one after the other."""

    def __init__(self) -> None:
        self.tempo: float | None = None
        self.first_beat_s = 0.0
        self.changes: list[Change] = []
        self._trial = Controls(Look(Style()))

    def take(self, told: dict[str, Any]) -> None:
        """Take one change; `told` is used up.

        Raises:
            ValueError: It cannot be used.
        """
        before = self.changes[-1].time_s if self.changes else 0.0
        change = read_change(told, before, in_beats=self.tempo is not None)
        # which pictures and LoRAs there will be is not known here
        self._trial.change({k: v for k, v in change.words.items() if k != "image_mix"})
        self.changes.append(change)

    @property
    def automation(self) -> Automation:
        """All that was taken."""
        return Automation(tuple(self.changes), self.tempo, self.first_beat_s)

    def begin(self, told: dict[str, Any]) -> None:
        """Take what holds for all changes.

        Raises:
            ValueError: The tempo or the first beat cannot be used.
        """
        if "tempo" in told:
            self.tempo = checked_tempo(told["tempo"])
        self.first_beat_s = _seconds(told.get("first_beat", 0.0), "first_beat", "seconds")


def _check_header(told: dict[str, Any]) -> None:
    if told.get("allaprima") != KIND:
        raise ValueError(f"expected {json.dumps(HEADER)}")
    if told.get("version") != VERSION:
        raise ValueError(f"got version {told.get('version')!r}, expected {VERSION}")


def _object(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError('expected a JSON object, such as {"time": 2.5, "strength": 0.7}')
    return told


def read_change(told: dict[str, Any], before: float, *, in_beats: bool) -> Change:
    """One change; `told` is used up.

    Args:
        before: The place of the change before.
        in_beats: Places are beats.

    Raises:
        ValueError: It is none (got and expected).
    """
    name, unit = ("beat", "beats") if in_beats else ("time", "seconds")
    place, glide = told.pop(name, None), told.pop("glide", False)
    over, ease = told.pop("over", 0.0), told.pop("ease", "smooth")
    place, over = _seconds(place, name, unit), _seconds(over, "over", unit)
    if place < before:
        raise ValueError(f"got {name}={place:g}, expected {before:g} or more, as the line before")
    if not isinstance(glide, bool):
        raise ValueError(f"got glide={glide!r}, expected true or false")
    if ease not in EASES:
        raise ValueError(f"got ease={ease!r}, expected one of {', '.join(EASES)}")
    known = TRAVELLING if over else RECORDED
    unknown = set(told) - set(known)
    if unknown:
        beside = " with over" if over else ""
        raise ValueError(f"got {sorted(unknown)[0]!r}{beside}, expected some of {', '.join(known)}")
    return Change(place, told, glide, over, ease)


def _seconds(value: object, name: str, unit: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError(f"got {name}={value!r}, expected {unit}, 0 or more")
    return float(value)  # type: ignore[arg-type]
