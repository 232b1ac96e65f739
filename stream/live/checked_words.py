"""Values of control words in the kind that each word needs. Imports nothing heavy."""

import sys
from typing import Any

from models import parse_prompt
from stream.live.words import STYLE_FIELDS, WORDS


def style_fields(asked: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Style` that are asked for, each in its kind; other words are left out.

    Raises:
        ValueError: As `checked`.
    """
    return {
        field: checked(word, asked[word]) for word, field in STYLE_FIELDS.items() if word in asked
    }


def checked(word: str, value: Any) -> Any:
    """A value in the kind that its word needs, 2 for the steps 2.0; its range is not looked at.

    Raises:
        ValueError: It is no text, whole number or number where one is needed, or no prompt.
    """
    if WORDS[word].kind == "text":
        return _checked_text(word, value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    number = number and abs(value) <= sys.float_info.max  # JSON knows Infinity, NaN and 1e999
    if WORDS[word].kind == "whole":
        if not number or value != int(value):
            raise ValueError(f"got {word}={value!r}, expected a whole number")
        return int(value)
    if not number:
        raise ValueError(f"got {word}={value!r}, expected a number")
    return value


def _checked_text(word: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"got {word}={value!r}, expected text")
    if word != "loras":  # which Style itself looks at
        parse_prompt(value)
    return value
