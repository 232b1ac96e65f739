"""MIDI: maps, moves, hot-plug and learning; with mido's own messages and ports without a driver,
and with JACK's where that is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import allaprima, assert_refused
from midi_fakes import FakeBackend, FakePort

from models import Style
from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.command.midi_learn import learn
from stream.errors import ControlError
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.midi import MidiInput, MidiPlayer, Move, is_wanted, read_move
from stream.live.midi_learning import MidiLearner
from stream.live.midi_map import MidiControl, as_toml, default_map, knob, read_midi_map
from stream.live.words import WORDS

mido = pytest.importorskip("mido")

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


def make() -> Controls:
    styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon")]
    return Controls(Look(Style(prompt="oil")), styles)


def turn(number: int, value: int, channel: int = 0) -> Any:
    return mido.Message("control_change", control=number, value=value, channel=channel)


def press(note: int, velocity: int = 100) -> Any:
    return mido.Message("note_on", note=note, velocity=velocity)


# Moves


@pytest.mark.parametrize(
    ("data", "move"),
    [
        ([0xB0, 1, 127], Move("controller", 1, 1, 1.0)),
        ([0xB9, 74, 0], Move("controller", 74, 10, 0.0)),
        ([0x90, 36, 127], Move("note", 36, 1, 1.0)),
        ([0x90, 36, 0], Move("note", 36, 1, 0.0)),
        ([0x80, 36, 64], Move("note", 36, 1, 0.0)),
        ([0xE0, 0x7F, 0x7F], Move("pitch_wheel", 0, 1, 1.0)),
        ([0xE0, 0, 0], Move("pitch_wheel", 0, 1, 0.0)),
        ([0xF8], None),
        ([0xD0, 5], None),
    ],
)
def test_bytes_become_moves(data: list[int], move: Move | None) -> None:
    assert read_move(mido.Message.from_bytes(data)) == move


def test_a_knob_reaches_both_ends_of_its_word_within_two_frames() -> None:
    controls = make()
    player = MidiPlayer(controls, default_map())
    for value, strength in ((127, 1.0), (0, WORDS["strength"].least)):
        player.play([turn(1, value)])
        controls.advance()
        assert controls.advance().style.strength == pytest.approx(strength)


def test_only_the_newest_position_of_a_knob_is_taken() -> None:
    controls = make()
    taken: list[float] = []
    glide = controls.glide
    controls.glide = lambda word, value: (taken.append(value), glide(word, value))
    MidiPlayer(controls, default_map()).play([turn(1, value) for value in range(128)])
    assert taken == [1.0]


def test_pads_are_buttons() -> None:
    controls = make()
    player = MidiPlayer(controls, default_map())
    player.play([press(38), press(38, 0), press(36), press(36, 0)])
    assert controls.look.split
    assert controls.look.style.prompt == "neon"
    player.play([press(38)])
    player.play([press(38)])  # a controller that repeats itself presses once
    assert not controls.look.split


def test_curves_ends_and_held_switches(tmp_path: Path) -> None:
    controls = make()
    path = tmp_path / "map.toml"
    path.write_text(
        '[[control]]\ncontroller = 5\nword = "stability"\nfrom = 1\nto = 0\ncurve = 2\n'
        '[[control]]\nnote = 40\nword = "bypass"\nhold = true\n'
        '[[control]]\ncontroller = 6\nchannel = 3\nword = "steps"\n'
        '[[control]]\nnote = 41\nword = "style"\nvalue = "gone"\n',
        encoding="utf-8",
    )
    player = MidiPlayer(controls, read_midi_map(path))
    player.play([turn(5, 127 // 2), press(40), turn(6, 127), press(41)])
    controls.advance()
    look = controls.advance()
    assert look.stability == pytest.approx(1 - (63 / 127) ** 2)
    assert look.bypass
    assert look.style.num_inference_steps == 1  # of another channel
    player.play([press(40, 0), turn(6, 127, channel=2)])
    assert not controls.look.bypass
    assert controls.look.style.num_inference_steps == 8


def test_every_word_but_text_is_on_the_default_map() -> None:
    mapped = {control.word for control in default_map()}
    texts = {word.name for word in WORDS.values() if word.kind == "text"}
    assert mapped == WORDS.keys() - texts - {"seed", "quit"}
    triggers = [(control.trigger, control.number) for control in default_map()]
    assert len(set(triggers)) == len(triggers)


# Maps


def test_a_map_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(as_toml(default_map()), encoding="utf-8")
    assert read_midi_map(path) == default_map()


def test_the_map_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    text = (DOCS / "instrument.md").read_text("utf-8")
    path = tmp_path / "map.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    controls = read_midi_map(path)
    assert [control.word for control in controls] == ["strength", "stability", "prompt", "bypass"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected .*control.* tables"),
        ("nonsense", "is no TOML"),
        ('controller = 200\nword = "strength"', "control 1 of .*: got controller=200, expected 0"),
        ('controller = 1\nword = "strenght"', "got word='strenght', expected one of prompt"),
        ('word = "strength"', "got 0 of controller, note, pitch_wheel, dmx, expected one"),
        ('controller = 1\nword = "strength"\nfrom = -1', "got from=-1 for strength, expected 0.05"),
        ('controller = 1\nword = "strength"\ncurve = 0', "got curve=0.0, expected more than 0"),
        ('controller = 1\nword = "strength"\nhold = true', "got hold=True for strength"),
        ('note = 1\nword = "strength"', "got no value for strength"),
        ('note = 1\nword = "prompt"', "got no value for prompt"),
        ('note = 1\nword = "split"\nchannel = 17', "got channel=17, expected 1 to 16"),
        ('note = 1\nword = "split"\nchanel = 1', "got 'chanel', expected some of channel"),
        ('pitch_wheel = 3\nword = "strength"', "got pitch_wheel=3, expected true"),
    ],
)
def test_a_bad_map_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(f"[[control]]\n{text}\n" if "=" in text else text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_midi_map(path)


def test_a_bad_map_is_refused_by_the_command(tmp_path: Path) -> None:
    args = ("live", "--from", "testsrc", "--to", "null", "--midi-map", tmp_path / "no.toml")
    assert_refused(allaprima(*args), ExitCode.USAGE, "--midi-map")
    assert_refused(allaprima(*args, "--midi", "x"), ExitCode.USAGE, "--midi-map", "cannot be read")


# Ports


def test_a_controller_that_comes_and_goes_is_taken_and_waited_for() -> None:
    backend, clock, controls = FakeBackend("Keyboard 1"), ManualClock(), make()
    player = MidiPlayer(controls, default_map())
    midi = MidiInput("nano", player, backend, clock=clock)
    midi.look()
    assert not backend.ports
    for value, strength in ((127, 1.0), (0, 0.05)):  # the second time it comes back
        backend.names.append("nanoKONTROL2 20:0")
        clock.advance(1.0)
        midi.look()
        backend.ports["nanoKONTROL2 20:0"].put(turn(1, value))
        midi.look()
        controls.advance()
        assert controls.advance().style.strength == pytest.approx(strength)
        backend.names.remove("nanoKONTROL2 20:0")
        clock.advance(1.0)
        midi.look()
        assert backend.ports["nanoKONTROL2 20:0"].closed
    assert set(backend.ports) == {"nanoKONTROL2 20:0"}


def test_a_port_that_breaks_is_opened_again() -> None:
    backend, clock, controls = FakeBackend("nano"), ManualClock(), make()
    midi = MidiInput("any", MidiPlayer(controls, default_map()), backend, clock=clock)
    midi.look()
    broken = backend.ports["nano"]

    def fail() -> Iterator[Any]:
        raise OSError("unplugged")

    broken.iter_pending = fail
    midi.look()
    clock.advance(1.0)
    midi.look()
    assert backend.ports["nano"] is not broken
    midi.abandon()
    assert backend.ports["nano"].closed


def test_names_are_matched_in_part() -> None:
    assert is_wanted("NANO", "nanoKONTROL2 20:0") and is_wanted("any", "x")
    assert not is_wanted("launch", "nanoKONTROL2 20:0")


@pytest.mark.skipif(shutil.which("jackd") is None, reason="needs jackd: `make test-devices`")
def test_a_real_port_plays() -> None:
    pytest.importorskip("rtmidi")
    script = ROOT / "tests" / "devices" / "jack_midi.py"
    names = {"JACK_DEFAULT_SERVER": f"allaprima_{os.getpid()}", "JACK_NO_START_SERVER": "1"}
    names |= {"JACK_NO_AUDIO_RESERVATION": "1", "MIDO_BACKEND": "mido.backends.rtmidi/UNIX_JACK"}
    run = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | names,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.stdout == "strength 1 split True\n", run.stderr


# Learning


def test_a_map_is_learned_from_what_moves() -> None:
    asked: list[str] = []
    learner = MidiLearner(lambda word: asked.append(word.name))
    for value in (0.1, 0.2, 0.3):
        learner.take(Move("controller", 21, 1, value), 10.0 + value)
    learner.take(Move("controller", 21, 1, 0.4), 20.0)  # again: steps are left out
    learner.take(Move("note", 40, 1, 0.8), 21.0)
    learner.take(Move("note", 40, 1, 0.0), 21.1)
    learner.take(Move("pitch_wheel", 0, 2, 0.7), 22.0)
    assert asked == ["strength", "steps", "guidance", "seed", "image_weight"]
    assert learner.controls == [
        knob("controller", 21, "strength", 1),
        MidiControl("note", 40, "guidance", 1, 1.0, 30.0, value=30),
        knob("pitch_wheel", 0, "seed", 2),
    ]


def test_what_was_learned_is_printed_as_a_map(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    backend = FakeBackend("nano")
    opened, clock = backend.open_input, ManualClock()

    learned = [word.name for word in WORDS.values() if word.kind != "text"]

    def open_input(name: str) -> FakePort:
        port = opened(name)
        port.put(*(turn(number, 64) for number in range(20, 20 + len(learned))))
        return port

    backend.open_input = open_input
    learn("nano", backend=backend, clock=clock)
    out, err = capsys.readouterr()
    path = tmp_path / "map.toml"
    path.write_text(out, encoding="utf-8")
    assert [one.word for one in read_midi_map(path)] == learned
    assert "strength: how far" in err
    with pytest.raises(ControlError, match=r"no MIDI input launch; plug it in \(there: nano\)"):
        learn("launch", backend=backend, clock=clock)
