"""Controls: changes are taken whole or refused whole, with a sentence on what is expected."""

import math
from dataclasses import replace

import pytest

from models import Style
from stream.live.controls import Controls, Look, NamedStyle


def make() -> Controls:
    styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon", "ink")]
    return Controls(Look(Style(prompt="oil")), styles)


def test_a_change_is_taken_whole() -> None:
    controls = make()
    look = controls.change({"prompt": "fog", "strength": 0.3, "steps": 2, "split": True})
    assert look.style == Style(prompt="fog", strength=0.3, num_inference_steps=2)
    assert controls.look.split


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"strength": 2}, "got strength=2, expected"),
        ({"strength": "much"}, "got strength='much', expected a number"),
        ({"prompt": 7}, "got prompt=7, expected text"),
        ({"steps": 1.5}, "got steps=1.5, expected a whole number"),
        ({"stability": -1}, "got stability=-1"),
        ({"split": "yes"}, "got split='yes', expected true or false"),
        ({"promt": "oil"}, "got 'promt', expected one of prompt"),
        ({"style": "moss"}, "got style='moss', expected next or one of oil, neon, ink"),
        ({"transition": 999}, "got transition=999"),
        ({"prompt": "oil:0"}, "got weights with sum 0.0"),
        ({"prompt": "oil:1e308 | ink:1e308"}, "weights with sum inf"),
        ({"prompt": "\ud800"}, "expected text in UTF-8"),
        ({"steps": math.inf}, "got steps=inf, expected a whole number"),
        ({"seed": math.nan}, "got seed=nan, expected a whole number"),
        ({"guidance": math.inf}, "got guidance=inf, expected a number"),
        ({"stability": 10**400}, ", expected a number"),
    ],
)
def test_a_bad_change_is_refused_whole(asked: dict[str, object], words: str) -> None:
    controls = make()
    before = controls.look
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        controls.change({"stability": 0.9} | asked)
    assert controls.look == before


def test_a_whole_number_may_come_with_a_point() -> None:
    style = make().change({"steps": 2.0, "seed": 5.0}).style
    assert (style.num_inference_steps, style.seed) == (2, 5)
    assert type(style.num_inference_steps) is type(style.seed) is int


def test_next_style_goes_round() -> None:
    controls = make()
    names = []
    for _ in range(3):
        controls.change({"style": "next"})
        names.append(controls.style_name)
    assert names == ["neon", "ink", "oil"]


def test_nudges_stay_within_the_range() -> None:
    controls = make()
    for _ in range(50):
        controls.nudge("strength", -0.05)
        controls.nudge("stability", 0.05)
    assert 0 < controls.look.style.strength <= 0.05
    assert controls.look.stability == 1


def test_the_models_defaults_reach_the_list_but_not_the_users_own() -> None:
    own = frozenset({"prompt", "strength"})
    mine = NamedStyle("mine", Style(prompt="mine", strength=0.9), own=own)
    controls = Controls(Look(Style(prompt="oil")), [NamedStyle("oil", Style("oil")), mine])
    style = Style("oil", strength=0.5, num_inference_steps=2, guidance_scale=8.0)
    controls.start_with(style)
    controls.next_style()
    assert controls.look.style == replace(style, prompt="mine", strength=0.9)
    controls.next_style()
    assert controls.look.style == style


MODELS = Style(prompt="ink", strength=0.5, num_inference_steps=2, guidance_scale=8.0)


def test_what_was_changed_before_the_model_was_known_stays() -> None:
    controls = make()
    controls.change({"prompt": "fog", "strength": 0.9, "stability": 0.8})
    controls.nudge("strength", -0.1)
    controls.start_with(MODELS)
    assert controls.look == Look(replace(MODELS, prompt="fog", strength=0.8), stability=0.8)


def test_a_style_chosen_before_the_model_was_known_stays_and_has_its_defaults() -> None:
    controls = make()
    controls.change({"seed": 3})
    controls.change({"style": "neon", "strength": 0.9})
    controls.start_with(MODELS)
    assert controls.look.style == replace(MODELS, prompt="neon", strength=0.9)
    controls.next_style()
    assert controls.style_name == "ink"


def test_a_change_refused_before_the_model_was_known_leaves_nothing() -> None:
    controls = make()
    with pytest.raises(ValueError, match="got stability=2"):
        controls.change({"style": "neon", "seed": 3, "stability": 2})
    controls.start_with(MODELS)
    assert controls.look == Look(MODELS)
    assert controls.style_name == "ink"


def test_what_holds_can_be_given_back() -> None:
    controls = make()
    told = controls.as_dict()
    controls.change({"strength": 0.2, "freeze": True})
    controls.change({key: value for key, value in told.items() if key != "style"})
    assert controls.as_dict() == told


def test_from_a_prompt_of_the_users_own_the_list_begins_at_either_end() -> None:
    for step, expected in ((1, 0), (-1, -1)):
        controls = make()
        names = [named.name for named in controls._styles]
        controls.change({"prompt": "my own"})
        controls._position = -1
        controls.next_style(step)
        assert controls.style_name == names[expected]


def test_what_holds_can_be_given_back_with_a_prompt_of_the_users_own() -> None:
    controls = make()
    controls.change({"prompt": "my own"})
    told = controls.as_dict()
    assert "style" not in told
    controls.change({"prompt": "another"})
    controls.change(told)
    assert controls.look.style.prompt == "my own"


def test_a_prompt_that_the_list_has_is_its_place_in_it() -> None:
    controls = make()
    first, second, *rest = (named for named in controls._styles)
    controls.change({"style": first.name})
    controls.change({"prompt": second.style.prompt})
    controls.next_style()
    assert controls.style_name == (rest or [first])[0].name
