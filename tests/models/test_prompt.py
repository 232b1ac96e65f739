"""Prompts with weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prompt import parse_prompt, understood


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", [("", 1.0)]),
        ("  ", [("", 1.0)]),
        ("oil painting", [("oil painting", 1.0)]),
        ("oil painting:3", [("oil painting", 1.0)]),
        ("oil painting:0.7 | neon:0.3", [("oil painting", 0.7), ("neon", 0.3)]),
        ("oil|neon", [("oil", 0.5), ("neon", 0.5)]),
        ("oil:3 | neon", [("oil", 0.75), ("neon", 0.25)]),
        ("oil:1e1|neon: 30 ", [("oil", 0.25), ("neon", 0.75)]),
        ("oil:0|neon", [("oil", 0.0), ("neon", 1.0)]),
        ("oil||  |neon", [("oil", 0.5), ("neon", 0.5)]),
        ("style: oil", [("style: oil", 1.0)]),
        ("a 16:9 picture", [("a 16:9 picture", 1.0)]),
        ("poster in 16:9 | neon", [("poster in 16:9", 0.5), ("neon", 0.5)]),
        ("a clock at 10:30", [("a clock at 10:30", 1.0)]),
        ("blade runner 2049:0.5", [("blade runner 2049", 1.0)]),
        ("style: oil:2 | b", [("style: oil", 2 / 3), ("b", 1 / 3)]),
        ("oil:", [("oil:", 1.0)]),
        (":0.5", [("", 1.0)]),
        ("year:1_0", [("year:1_0", 1.0)]),
    ],
)
def test_prompt_is_split(prompt: str, expected: list[tuple[str, float]]) -> None:
    parts = parse_prompt(prompt)
    assert [part.text for part in parts] == [text for text, _ in expected]
    assert [part.weight for part in parts] == pytest.approx([weight for _, weight in expected])


@pytest.mark.parametrize("prompt", ["oil:-1", "oil:nan | neon", "oil:inf", "oil:0", "a:0|b:0"])
def test_weights_that_make_no_sense_are_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"got weight.*expected"):
        parse_prompt(prompt)


def test_bytes_that_were_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"neon.*expected text in UTF-8"):
        parse_prompt("neon \udcff")


@given(st.text())
def test_any_text_gives_weights_of_sum_one_or_a_clear_refusal(prompt: str) -> None:
    try:
        parts = parse_prompt(prompt)
    except ValueError as err:
        assert "expected" in str(err)
        return
    assert sum(part.weight for part in parts) == pytest.approx(1)


LOOKS = ("oil painting", "watercolor", "ink", "ink drawing")


@pytest.mark.parametrize(
    ("prompt", "given", "words"),
    [
        ("water colour", "watercolor", "read as watercolor"),
        ("waterclor", "watercolor", "read as watercolor"),
        ("a dog, waterclor", "watercolor", "read as watercolor"),
        ("watercolor, red dress", "watercolor", "read as watercolor; not understood: red dress"),
        ("oil painting:abc", "oil painting", "read as oil painting; not understood: abc"),
        (
            "ink of a dog, oil painting",
            "ink, oil painting",
            "ink and oil painting; not understood: dog",
        ),
        ("asdf qwer", "", "names no look"),
        ("pink", "", "names no look"),
        ("painting", "", "names no look"),
    ],
)
def test_what_was_understood_is_said(prompt: str, given: str, words: str) -> None:
    text, sentence = understood(prompt, LOOKS)
    assert text == given
    assert sentence is not None and words in sentence


@pytest.mark.parametrize("prompt", ["Watercolors", "an oil painting in the style of ink", ""])
def test_nothing_is_said_of_what_was_understood_whole(prompt: str) -> None:
    assert understood(prompt, LOOKS) == (prompt, None)


def test_a_model_without_a_list_is_given_what_was_asked() -> None:
    assert understood("a cat on a bicycle", ()) == ("a cat on a bicycle", None)
