"""Reads the list of styles for the next-style key and the control socket from a TOML file.

[[style]]
name = "night"
prompt = "neon:0.7 | ink"
strength = 0.6             # and steps, guidance, seed, stability: what is left out is the
stability = 0.7            # session's
"""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import Style
from stream.live.controls import STYLE_FIELDS, NamedStyle, checked, style_fields


def read_styles(path: Path, default: Style) -> list[NamedStyle]:
    """The styles of a file; what an entry leaves out is `default`'s until the model is known.

    Raises:
        ValueError: The file cannot be read, or something in it cannot be used (and where).
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ValueError(f"got styles={path}, which cannot be read ({err.strerror})") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ValueError(f"got styles={path}, which is no TOML: {err}") from err
    entries = told.get("style")
    if not isinstance(entries, list) or not entries or set(told) != {"style"}:
        raise ValueError(f"got styles={path}, expected one or more [[style]] tables and no more")
    return [_read(path, number, entry, default) for number, entry in enumerate(entries, 1)]


def _read(path: Path, number: int, entry: dict[str, Any], default: Style) -> NamedStyle:
    where = f"style {number} of {path}"
    unknown = set(entry) - {"name", "stability", *STYLE_FIELDS}
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
