"""ControlServer: JSON lines in, answers out; nonsense harms nobody. And styles from a file."""

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import allaprima, assert_refused

from models import Style
from stream.command.exit_codes import ExitCode
from stream.errors import ControlError
from stream.live.control_server import LONGEST_LINE_BYTES, ControlServer
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.styles_file import read_styles
from stream.stats import Stats

LIMIT_S = 600


def make_controls() -> Controls:
    styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon")]
    return Controls(Look(Style(prompt="oil")), styles)


class Running:
    """A server in a thread of its own, and what it controls."""

    def __init__(self, where: str = "0") -> None:
        self.controls = make_controls()
        self.server = ControlServer(where, self.controls, Stats())
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), LIMIT_S)

    def say(self, *lines: bytes) -> list[dict[str, object]]:
        with self.connect() as client:
            client.sendall(b"".join(line + b"\n" for line in lines))
            answers = client.makefile("rb")
            told = [json.loads(answers.readline() or b"null") for _ in lines]
            answers.close()
            return told

    def end(self) -> None:
        self.server.stop()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    one = Running()
    yield one
    one.end()


def test_a_line_changes_the_look_and_is_answered(running: Running) -> None:
    (answer,) = running.say(b'{"prompt": "fog", "strength": 0.25, "split": true}')
    assert answer["ok"] is True
    assert answer["look"]["strength"] == 0.25
    assert running.controls.look.style.prompt == "fog"
    assert running.controls.look.split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "no JSON"),
        (b"[1, 2]", "expected an object"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 3000, "no JSON"),
        (b'{"strength": 7}', "got strength=7, expected"),
        (b'{"prompts": "x"}', "got 'prompts', expected one of prompt"),
        (b'{"ask": "weather"}', "expected stats or look"),
        (b'{"steps": 1e999}', "got steps=inf, expected a whole number"),
        (b'{"seed": NaN}', "got seed=nan, expected a whole number"),
        (b'{"transition": Infinity}', "got transition=inf, expected a number"),
        (b'{"prompt": "oil:0"}', "got weights with sum 0.0"),
        (b'{"prompt": "\\ud800"}', "expected text in UTF-8"),
    ],
)
def test_a_malformed_line_is_answered_and_the_next_one_works(
    running: Running, line: bytes, words: str
) -> None:
    first, second = running.say(line, b'{"strength": 0.5}')
    assert first["ok"] is False
    assert words in str(first["error"])
    assert second["ok"] is True


def test_stats_and_look_can_be_asked_for(running: Running) -> None:
    stats, look = running.say(b'{"ask": "stats"}', b'{"ask": "look"}')
    assert stats["stats"]["frames_out"] == 0
    assert look["look"]["style"] == "oil"


def test_quit_ends_the_session(running: Running) -> None:
    ended = threading.Event()
    running.controls.on_quit = ended.set
    running.say(b'{"quit": true}')
    assert ended.is_set()


def test_a_web_page_is_cut_off_before_it_can_say_anything(running: Running) -> None:
    with running.connect() as browser:
        browser.sendall(
            b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{"prompt": "owned"}\n'
        )
        assert browser.recv(100) == b""
    assert running.controls.look.style.prompt == "oil"


def test_an_endless_line_is_cut_off(running: Running) -> None:
    with running.connect() as client, pytest.raises(OSError):
        for _ in range(LONGEST_LINE_BYTES):
            client.sendall(b"x" * 4096)
    assert running.say(b"{}")[0]["ok"] is True


def test_pieces_of_a_line_are_put_together(running: Running) -> None:
    with running.connect() as client:
        for piece in (b'{"stre', b'ngth": ', b"0.125}\n"):
            client.sendall(piece)
        assert json.loads(client.recv(4096))["look"]["strength"] == 0.125


def test_a_unix_socket_is_its_owners_alone_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    running = Running(str(path))
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT_S)
        client.connect(str(path))
        client.sendall(b'{"freeze": true}\n')
        assert json.loads(client.recv(4096))["ok"] is True
    running.end()
    assert not path.exists()


def test_standard_input_takes_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        running = Running("-")
        changed = threading.Event()
        running.controls.on_quit = changed.set
        os.write(write, b'rubbish\n{"strength": 0.75}\n{"quit": true}')
        os.close(write)
        assert changed.wait(LIMIT_S)
        running.end()
    assert running.controls.look.style.strength == 0.75


def test_a_socket_is_not_read_as_a_file(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(descriptor: int, length: int) -> bytes:
        raise OSError(f"{descriptor} is a socket, as Windows has it")

    monkeypatch.setattr("os.read", read)
    (answer,) = running.say(b'{"strength": 0.25}')
    assert answer["ok"] is True


def test_a_failure_closes_the_socket_all_the_same(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("cannot quit")

    path, controls = tmp_path / "control.sock", make_controls()
    controls.on_quit = fail
    server = ControlServer(str(path), controls, Stats())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b'{"quit": true}\n')
        with pytest.raises(RuntimeError, match="cannot quit"):
            server.run()
    assert not path.exists()


def test_a_path_where_there_are_no_unix_sockets_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("socket.AF_UNIX")
    with pytest.raises(ControlError, match=r"no Unix sockets on this system; choose a port\.$"):
        ControlServer(str(tmp_path / "control.sock"), make_controls(), Stats())


def test_standard_input_that_cannot_be_waited_for_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(ControlError, match=r"standard input on Windows, .*; choose a port\.$"):
        ControlServer("-", make_controls(), Stats())


def test_standard_input_that_is_closed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ControlError, match="standard input, which is closed"):
        ControlServer("-", make_controls(), Stats())


def test_a_port_that_is_taken_is_a_sentence(running: Running) -> None:
    with pytest.raises(ControlError, match=r"cannot be opened .*; choose another port"):
        ControlServer(str(running.server.port), make_controls(), Stats())


# Styles from a file


def test_styles_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(
        '[[style]]\nname = "night"\nprompt = "neon"\nstrength = 0.9\nstability = 0.2\n'
        '[[style]]\nprompt = "ink"\n',
        encoding="utf-8",
    )
    night, ink = read_styles(path, Style(seed=7))
    own = frozenset({"prompt", "strength"})
    assert night == NamedStyle("night", Style("neon", strength=0.9, seed=7), 0.2, own=own)
    assert ink == NamedStyle("ink", Style("ink", seed=7), None)


def test_steps_with_a_point_are_read_as_a_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text('[[style]]\nprompt = "ink"\nsteps = 2.0\n', encoding="utf-8")
    (ink,) = read_styles(path, Style())
    assert type(ink.style.num_inference_steps) is int


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected one or more"),
        ("nonsense", "is no TOML"),
        ('[[style]]\nname = "x"\n', "style 1 of .*: expected a prompt"),
        ('[[style]]\nprompt = "x"\nstrengh = 1\n', "got 'strengh', expected some of name"),
        ('[[style]]\nprompt = "x"\nstrength = 2\n', "style 1 of .*: got strength=2"),
        ('[[style]]\nprompt = "x"\nstability = 2\n', "got stability=2"),
        ('[[style]]\nprompt = "x"\nstability = nan\n', "style 1 of .*: got stability=nan"),
        ('[[style]]\nprompt = "x:0"\n', "style 1 of .*: got weights with sum 0"),
        ('[[style]]\nprompt = "x"\nsteps = inf\n', "style 1 of .*: got steps=inf"),
    ],
)
def test_a_bad_list_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_styles(path, Style())


def test_a_list_that_is_not_there_is_refused_by_the_command(tmp_path: Path) -> None:
    args = ("live", "--from", "testsrc", "--to", "null", "--styles", tmp_path / "no.toml")
    assert_refused(allaprima(*args), ExitCode.USAGE, "--styles", "cannot be read")
