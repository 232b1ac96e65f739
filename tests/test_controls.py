"""Controls: changes are taken whole or refused whole, with a sentence on what is expected."""

import pytest

from models import Style
from stream.controls import Controls, Look, NamedStyle


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
    ],
)
def test_a_bad_change_is_refused_whole(asked: dict[str, object], words: str) -> None:
    controls = make()
    before = controls.look
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        controls.change({"stability": 0.9} | asked)
    assert controls.look == before


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
        controls.nudge_strength(-0.05)
        controls.nudge_stability(0.05)
    assert 0 < controls.look.style.strength <= 0.05
    assert controls.look.stability == 1


def test_the_models_defaults_reach_the_list_but_not_the_users_own() -> None:
    own = NamedStyle("mine", Style(prompt="mine", strength=0.9), follows=False)
    controls = Controls(Look(Style(prompt="oil")), [NamedStyle("oil", Style("oil")), own])
    controls.start_with(Style(prompt="oil", strength=0.5))
    controls.next_style()
    assert controls.look.style.strength == 0.9
    controls.next_style()
    assert controls.look.style == Style(prompt="oil", strength=0.5)


def test_what_holds_can_be_given_back() -> None:
    controls = make()
    told = controls.as_dict()
    controls.change({"strength": 0.2, "freeze": True})
    controls.change({key: value for key, value in told.items() if key != "style"})
    assert controls.as_dict() == told
