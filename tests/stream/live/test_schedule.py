"""Schedules: prompts and numbers that travel, by time and by beats; taps and MIDI clock."""

import json
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from command import restyle
from fakes import FakeEngine, make_frames
from films import write_film
from midi_fakes import FakeBackend
from miniature import make_lcm, save

from models import Style
from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.live.automation import read_automation
from stream.live.beat_clock import BeatClock
from stream.live.controls import Controls, Look
from stream.live.midi import MidiInput, MidiPlayer
from stream.live.midi_map import default_map
from stream.live.schedule import Change, LiveSchedule, Performance, Schedule, mixed_prompt
from stream.live.scheduling import read_schedule
from stream.live.styles_file import read_style_times, read_styles
from stream.stats import STILL
from stream.stylizer.stylizer import Stylizer

OIL = Look(Style("oil", strength=0.5), transition_s=0.0)


def looks(changes: list[Change], *times: float) -> list[Look]:
    performance = Performance(changes, OIL)
    return [performance.look_at(time) for time in times]


# Prompts between prompts


@pytest.mark.parametrize(
    ("share", "prompt"),
    [
        (0.0, "oil"),
        (0.25, "oil:0.7500 | fog:0.2500"),
        (0.5, "oil:0.5000 | fog:0.5000"),
        (1.0, "fog"),
    ],
)
def test_a_prompt_between_two_mixes_them(share: float, prompt: str) -> None:
    assert mixed_prompt("oil", "fog", share) == prompt


def test_mixtures_travel_part_by_part() -> None:
    halfway = mixed_prompt("oil:3 | ink:1", "ink | fog:0", 0.5)
    assert halfway == "oil:0.3750 | ink:0.6250"
    assert mixed_prompt("at 10:30", "16:9", 0.5) == "at 10:30:0.5000 | 16:9:0.5000"


# Travels


def test_words_travel_along_their_curve() -> None:
    changes = [Change(1.0, {"prompt": "fog", "strength": 1.0}, over=2.0, ease="linear")]
    seen = looks(changes, 0.5, 1.0, 1.5, 2.0, 3.0, 9.0)
    assert [look.style.strength for look in seen] == pytest.approx([0.5, 0.5, 0.625, 0.75, 1, 1])
    assert [look.style.prompt for look in seen] == [
        "oil", "oil", "oil:0.7500 | fog:0.2500", "oil:0.5000 | fog:0.5000", "fog", "fog",
    ]  # fmt: skip
    assert all(look.gliding for look in seen)


def test_curves_begin_and_end_where_they_should() -> None:
    for ease, quarter in (("linear", 0.25), ("smooth", 0.15625), ("in", 0.0625), ("out", 0.4375)):
        changes = [Change(0.0, {"stability": 1.0}, over=4.0, ease=ease)]  # type: ignore[arg-type]
        start, first, end = looks(changes, 0.0, 1.0, 4.0)
        assert (start.stability, end.stability) == (0.5, 1.0)
        assert first.stability == pytest.approx(0.5 + quarter / 2)


def test_what_a_frame_shows_does_not_depend_on_the_frames_before_it() -> None:
    changes = [
        Change(0.3, {"prompt": "fog", "strength": 0.9}, over=3.0),
        Change(1.1, {"prompt": "night"}, over=1.0),  # from wherever it has come
        Change(1.4, {"strength": 0.2}, over=1.0),
    ]
    (alone,) = looks(changes, 1.7)
    *_, after_many = looks(changes, *(number / 24 for number in range(40)), 1.7)
    assert alone == after_many
    assert "night" in alone.style.prompt and "fog" in alone.style.prompt


def test_a_jump_ends_a_travel_and_is_no_glide() -> None:
    changes = [
        Change(0.0, {"strength": 0.9}, over=4.0),
        Change(1.0, {"strength": 0.3}),
    ]
    seen = looks(changes, 0.5, 1.0, 2.0)
    assert [look.gliding for look in seen] == [True, False, True]
    assert [look.style.strength for look in seen[1:]] == [0.3, 0.3]


def test_whoever_turns_a_word_takes_it_over_from_the_schedule() -> None:
    controls = Controls(OIL)
    schedule = Schedule([Change(0.0, {"strength": 0.9, "stability": 1.0}, over=4.0)])
    schedule.play(controls, 1.0)
    controls.change({"strength": 0.2})
    schedule.play(controls, 2.0)
    schedule.play(controls, 4.0)
    assert (controls.look.style.strength, controls.look.stability) == (0.2, 1.0)


def test_a_step_of_a_travel_is_shown_without_a_cross_fade() -> None:
    controls = Controls(OIL)
    controls.schedule = LiveSchedule([Change(0.0, {"prompt": "fog"}, over=4.0)])
    controls.advance()
    controls.look_at(2.0, 100.0)
    assert controls.advance().gliding
    controls.change({"split": True})
    assert not controls.advance().gliding


# What is painted


def test_a_still_picture_is_painted_anew_while_its_prompt_travels() -> None:
    stylizer = Stylizer(FakeEngine(), Style("oil"))
    frame = make_frames(1)[0]
    stylizer.process(frame)
    stylizer.is_gradual = True
    counts = []
    for number in range(1, 5):
        if number < 4:
            stylizer.style = Style("oil", strength=0.1 + number / 10)
        stylizer.process(frame.replace(frame.data, pts=frame.pts + number))
        counts.append(stylizer.stats.count_of(STILL))
    assert counts == [0, 0, 0, 1]


def test_history_is_kept_over_gradual_changes_alone() -> None:
    def last(is_gradual: bool, stability: float = 0.9) -> Any:
        stylizer = Stylizer(FakeEngine(), Style("oil"), stability=stability)
        stylizer.process(frame)
        stylizer.is_gradual = is_gradual
        stylizer.style = Style("fog")
        later = frame.replace(frame.data, pts=frame.pts + 1)
        return stylizer.process(later)[-1].data.astype(int)

    frame = make_frames(1)[0]
    alone = last(False, stability=0.0)
    assert np.abs(last(False) - alone).mean() < 0.5
    assert np.abs(last(True) - alone).mean() > 1


# Beats


def test_beats_follow_a_tempo_from_the_first_look_on() -> None:
    clock = BeatClock(120)
    assert [clock.beat(now) for now in (10.0, 10.5, 11.25)] == [0.0, 1.0, 2.5]


def test_taps_tell_tempo_and_beat() -> None:
    clock = BeatClock(120)
    clock.beat(0.0)
    for now in (2.1, 2.7, 2.75, 3.3):  # one bounced
        clock.tap(now)
    assert clock.tempo == pytest.approx(100)
    assert clock.beat(3.3) == round(clock.beat(3.3))
    assert clock.beat(3.9) == pytest.approx(clock.beat(3.3) + 1)
    clock.tap(9.0)  # alone: another beat, the same tempo
    assert clock.tempo == pytest.approx(100)


def test_midi_clock_is_followed() -> None:
    backend, clock, beats = FakeBackend("seq"), ManualClock(5.0), BeatClock(120)
    midi = MidiInput(
        "seq", MidiPlayer(Controls(OIL), default_map()), backend, clock=clock, beats=beats
    )
    midi.look()
    port = backend.ports["seq"]

    def send(kind: str, seconds: float = 0.0) -> None:
        clock.advance(seconds)
        port.put(mido.Message(kind))
        midi.look()

    send("start")
    for _ in range(24 * 4 + 1):
        send("clock", 1 / 36)  # 90 beats a minute
    assert beats.tempo == pytest.approx(90)
    assert beats.beat(clock.now_s()) == pytest.approx(4)
    send("stop")
    clock.advance(7.0)
    assert beats.beat(clock.now_s()) == pytest.approx(4)
    send("continue")
    send("clock", 1 / 36)
    assert beats.beat(clock.now_s()) == pytest.approx(4 + 1 / 24, abs=0.05)
    send("start")
    assert beats.beat(clock.now_s()) == 0


def test_a_schedule_in_beats_goes_with_the_music_and_begins_anew_with_it() -> None:
    controls, beats = Controls(OIL), BeatClock(60)
    changes = [Change(0.0, {"prompt": "oil"}), Change(4.0, {"prompt": "fog"})]
    controls.schedule = LiveSchedule(changes, beats)

    def prompt(now_s: float) -> str:
        return controls.look_at(now_s, now_s).style.prompt

    assert [prompt(now) for now in (0.0, 3.9, 4.0)] == ["oil", "oil", "fog"]
    for now in (4.0, 4.25, 4.5):
        beats.tap(now)
    assert beats.tempo == pytest.approx(240)
    beats.start(5.0)
    assert [prompt(now) for now in (5.0, 5.9, 6.0)] == ["oil", "oil", "fog"]


def test_beats_of_a_file_become_seconds(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    header = {"allaprima": "automation", "version": 1, "tempo": 90, "first_beat": 0.5}
    lines = [header, {"beat": 0, "prompt": "ink"}, {"beat": 6, "prompt": "fog", "over": 3}]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    first, second = read_automation(path).in_seconds()
    assert (first.time_s, second.time_s) == (0.5, 4.5)
    assert second.over == pytest.approx(2)


# A list of styles with times

TIMED = """
tempo = 120

[[style]]
name = "start"
prompt = "oil"
beat = 0

[[style]]
prompt = "fog"
strength = 0.8
beat = 8
over = 4
ease = "linear"

[[style]]
prompt = "spare"
"""


def test_a_list_of_styles_may_have_times(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(TIMED, encoding="utf-8")
    assert [style.name for style in read_styles(path, Style())] == ["start", "fog", "spare"]
    automation = read_style_times(path)
    assert automation is not None and automation.tempo == 120
    assert automation.changes == (
        Change(0.0, {"prompt": "oil"}),
        Change(8.0, {"prompt": "fog", "strength": 0.8}, over=4.0, ease="linear"),
    )
    assert [one.time_s for one in automation.in_seconds()] == [0.0, 4.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[style]]\nprompt = "a"\ntime = -1', "style 1 of .*: got time=-1"),
        ('[[style]]\nprompt = "a"\nover = 2', "style 1 of .*: got over or ease without a place"),
        ('[[style]]\nprompt = "a"\nbeat = 2', "style 1 of .*: got time=None"),
        ('tempo = 1\n[[style]]\nprompt = "a"\nbeat = 2', "got tempo=1, expected 20 to 400"),
        ('[[style]]\nprompt = "a"', "in which no style has a time or a beat"),
        (
            '[[style]]\nprompt = "a"\ntime = 2\n[[style]]\nprompt = "b"\ntime = 1',
            "style 2 of .*: got time=1, expected 2 or more",
        ),
    ],
)
def test_bad_times_are_named_with_their_style(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_schedule(path)


def test_the_command_renders_a_list_of_styles_with_times(tmp_path: Path) -> None:
    model = save(make_lcm(vae="tiny"), tmp_path / "model")
    path, film = tmp_path / "styles.toml", write_film(tmp_path / "film.mp4", 2)
    path.write_text(TIMED.replace("tempo = 120", "tempo = 400"), encoding="utf-8")
    made = []
    for name in ("one.mp4", "two.mp4"):
        result = restyle(film, tmp_path / name, model, "--automation", path)
        assert result.exit_code == ExitCode.DONE, result.output
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
