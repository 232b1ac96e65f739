"""Reads the list of styles for the next-style key and the control socket from a TOML file.

tempo = 120                # with it, places are beats

[[style]]
name = "night"
prompt = "neon:0.7 | ink"
strength = 0.6             # and steps, guidance, seed, stability: what is left out is the
stability = 0.7            # session's
beat = 16                  # or time = 8.0: played by itself, here
over = 4                   # on its way there for so long
"""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import Style
from stream.live.automation import Automation, AutomationReader
from stream.live.controls import STYLE_FIELDS, NamedStyle, checked, style_fields

PLACES = {"time", "beat"}
OF_PLACES = {*PLACES, "over", "ease"}
OF_LIST = {"tempo", "first_beat"}


def read_styles(path: Path, default: Style) -> list[NamedStyle]:
    """The styles of a file; what an entry leaves out is `default`'s until the model is known.

    Raises:
        ValueError: The file cannot be read, or something in it cannot be used (and where).
    """
    entries = _entries(path)[1]
    return [_read(path, number, entry, default) for number, entry in enumerate(entries, 1)]


def read_style_times(path: Path) -> Automation | None:
    """When the styles of a file are played; ``None`` where none has a place.

    Raises:
        ValueError: As `read_styles`; or places go back.
    """
    header, entries = _entries(path)
    if not any(PLACES & entry.keys() for entry in entries):
        return None
    reader = AutomationReader()
    try:
        reader.begin(header)
    except ValueError as err:
        raise ValueError(f"{path}: {err}") from err
    for number, entry in enumerate(entries, 1):
        if PLACES & entry.keys():
            try:
                reader.take({key: one for key, one in entry.items() if key != "name"})
            except ValueError as err:
                raise ValueError(f"style {number} of {path}: {err}") from err
    return reader.automation


def _entries(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a file says of the whole list, and its styles."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ValueError(f"got styles={path}, which cannot be read ({err.strerror})") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ValueError(f"got styles={path}, which is no TOML: {err}") from err
    entries = told.get("style")
    others = set(told) - {"style", *OF_LIST}
    if not isinstance(entries, list) or not entries or others:
        raise ValueError(f"got styles={path}, expected one or more [[style]] tables and no more")
    for number, entry in enumerate(entries, 1):
        if OF_PLACES & entry.keys() and not PLACES & entry.keys():
            raise ValueError(
                f"style {number} of {path}: got over or ease without a place, expected time or beat"
            )
    return {key: told[key] for key in OF_LIST & told.keys()}, entries


def _read(path: Path, number: int, entry: dict[str, Any], default: Style) -> NamedStyle:
    where = f"style {number} of {path}"
    unknown = set(entry) - {"name", "stability", *STYLE_FIELDS, *OF_PLACES}
    if unknown:
        known = ", ".join(["name", *STYLE_FIELDS, "stability"])
        raise ValueError(f"{where}: got {sorted(unknown)[0]!r}, expected some of {known}")
    if not isinstance(entry.get("prompt"), str):
        raise ValueError(f"{where}: expected a prompt")
    try:
        given = style_fields(entry)
        style = replace(default, **given)
        stability = checked("stability", entry["stability"]) if "stability" in entry else None
    except ValueError as err:
        raise ValueError(f"{where}: {err}") from err
    if stability is not None and not 0 <= stability <= 1:
        raise ValueError(f"{where}: got stability={stability}, expected 0 to 1")
    name = str(entry.get("name", entry["prompt"]))
    return NamedStyle(name, style, stability, own=frozenset(given))
