"""MidiMap: which controller, note, pitch wheel or DMX slot changes which word, from a TOML file.

[[control]]
controller = 1             # or note = 36, or pitch_wheel = true, or dmx = 1
channel = 1                # 1 to 16; every channel if left out
word = "strength"
from = 0.2                 # the knob's two ends; the word's own if left out
to = 0.9
curve = 2.0                # exponent: more than 1 is finer at the start

[[control]]
note = 36
word = "style"
value = "next"             # what a press gives; a switch turns the other way, or, with
                           # hold = true, is on while the note is held

Parses and prints; touches no device. The default map is that of `words.WORDS`.
"""

import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stream.live.words import SWITCHES, WORDS

Trigger = Literal["controller", "note", "pitch_wheel", "dmx"]

TRIGGERS: tuple[Trigger, ...] = ("controller", "note", "pitch_wheel", "dmx")
FIELDS = {*TRIGGERS, "channel", "word", "from", "to", "curve", "value", "hold"}
MOST_MIDI = 127
MOST_SLOTS = 512
MOST_CURVE = 10.0


@dataclass(frozen=True, slots=True)
class MidiControl:
    """One entry of a map.

    Attributes:
        trigger: What is moved.
        number: Of the controller or note, 0 to 127; 0 for the pitch wheel; 1 to 512 of DMX.
        channel: 1 to 16; ``None`` is every one.
        start, end: The word's values at the two ends.
        curve: Exponent, more than 0.
        value: What a press gives.
        hold: On while it is held.
    """

    trigger: Trigger
    number: int
    word: str
    channel: int | None = None
    start: float = 0.0
    end: float = 1.0
    curve: float = 1.0
    value: Any = None
    hold: bool = False

    def at(self, position: float) -> float:
        """The word's value for a position of the knob, 0 to 1."""
        value: float = self.start + (self.end - self.start) * position**self.curve
        return round(value) if WORDS[self.word].kind == "whole" else value

    def as_toml(self) -> str:
        """The entry as it is written in a file."""
        word = WORDS[self.word]
        first = "true" if self.trigger == "pitch_wheel" else self.number
        lines = ["[[control]]", f"{self.trigger} = {first}"]
        lines += [] if self.channel is None else [f"channel = {self.channel}"]
        lines.append(f'word = "{self.word}"')
        if self.value is not None:
            lines.append(f"value = {json.dumps(self.value, ensure_ascii=False)}")
        elif word.is_continuous:
            lines += [
                f"from = {self.start:.10g}",
                f"to = {self.end:.10g}",
                f"curve = {self.curve:g}",
            ]
        return "\n".join([*lines, *(["hold = true"] if self.hold else [])]) + "\n"


def default_map() -> list[MidiControl]:
    """The map where none is given: knobs that most controllers send, and pads from note 36 on."""
    controls = []
    for word in WORDS.values():
        controls += [knob("controller", number, word.name) for number in word.controllers]
        controls += [
            MidiControl("note", pad.note, word.name, value=pad.value or None) for pad in word.pads
        ]
        controls += [_fader(slot, word.name) for slot in word.slots]
    return controls


def _fader(slot: int, word: str) -> MidiControl:
    """An entry of a DMX slot; a switch is on while the slot is in its upper half."""
    return replace(knob("dmx", slot, word), hold=word in SWITCHES)


def knob(trigger: Trigger, number: int, word: str, channel: int | None = None) -> MidiControl:
    """An entry over the word's own range."""
    least, most = WORDS[word].least, WORDS[word].most
    ends = (0.0 if least is None else least, 1.0 if most is None else most)
    return MidiControl(trigger, number, word, channel, *ends)


def read_midi_map(path: Path) -> list[MidiControl]:
    """The map of a file.

    Raises:
        ValueError: The file cannot be read, or something in it cannot be used (and where).
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ValueError(f"got midi_map={path}, which cannot be read ({err.strerror})") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ValueError(f"got midi_map={path}, which is no TOML: {err}") from err
    entries = told.get("control")
    if not isinstance(entries, list) or not entries or set(told) != {"control"}:
        raise ValueError(f"got midi_map={path}, expected [[control]] tables and no more")
    controls = []
    for number, entry in enumerate(entries, 1):
        try:
            controls.append(_read(entry))
        except ValueError as err:
            raise ValueError(f"control {number} of {path}: {err}") from err
    return controls


def as_toml(controls: list[MidiControl]) -> str:
    """The map as a file that `read_midi_map` reads."""
    return "\n".join(control.as_toml() for control in controls)


def _read(entry: dict[str, Any]) -> MidiControl:
    unknown = set(entry) - FIELDS
    if unknown:
        known = ", ".join(sorted(FIELDS))
        raise ValueError(f"got {sorted(unknown)[0]!r}, expected some of {known}")
    triggers = [trigger for trigger in TRIGGERS if trigger in entry]
    if len(triggers) != 1:
        raise ValueError(f"got {len(triggers)} of {', '.join(TRIGGERS)}, expected one")
    name = entry.get("word")
    if name not in WORDS:
        raise ValueError(f"got word={name!r}, expected one of {', '.join(WORDS)}")
    trigger, word = triggers[0], WORDS[name]
    number, channel = _number(entry, trigger), _channel(entry)
    curve = _real(entry, "curve", 1.0)
    if not 0 < curve <= MOST_CURVE:
        raise ValueError(f"got curve={curve}, expected more than 0, {MOST_CURVE:g} at most")
    value, hold = entry.get("value"), entry.get("hold", False)
    if not isinstance(hold, bool) or (hold and name not in SWITCHES):
        raise ValueError(f"got hold={hold!r} for {name}, expected true or false, for a switch")
    if value is None and word.kind in ("text", "name"):
        raise ValueError(f"got no value for {name}, expected what a press gives")
    if value is None and trigger == "note" and word.is_continuous and not _has_range(entry):
        raise ValueError(f"got no value for {name}, expected one, or from and to for its velocity")
    base = knob(trigger, number, name)
    start, end = _real(entry, "from", base.start), _real(entry, "to", base.end)
    for end_name, at in (("from", start), ("to", end)):
        if word.is_continuous and word.clamped(at) != at:
            raise ValueError(f"got {end_name}={at:g} for {name}, expected {word.takes}")
    return MidiControl(trigger, number, name, channel, start, end, curve, value, hold)


def _has_range(entry: dict[str, Any]) -> bool:
    return "from" in entry and "to" in entry


def _number(entry: dict[str, Any], trigger: Trigger) -> int:
    number = entry[trigger]
    if trigger == "pitch_wheel":
        if number is not True:
            raise ValueError(f"got pitch_wheel={number!r}, expected true")
        return 0
    least, most = (1, MOST_SLOTS) if trigger == "dmx" else (0, MOST_MIDI)
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise ValueError(f"got {trigger}={number!r}, expected {least} to {most}")
    return number


def _channel(entry: dict[str, Any]) -> int | None:
    channel = entry.get("channel")
    if channel is None:
        return None
    if not isinstance(channel, int) or isinstance(channel, bool) or not 1 <= channel <= 16:
        raise ValueError(f"got channel={channel!r}, expected 1 to 16")
    return channel


def _real(entry: dict[str, Any], name: str, default: float) -> float:
    value = entry.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        raise ValueError(f"got {name}={value!r}, expected a number")
    return float(value)
