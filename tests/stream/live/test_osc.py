"""OscServer with python-osc as its client: words, queries, feedback, and what is no OSC."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from models import Style
from stream.errors import ControlError
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.osc import OscServer
from stream.live.words import WORDS
from stream.stats import Stats

osc_bundle_builder = pytest.importorskip("pythonosc.osc_bundle_builder")
from pythonosc.osc_message import OscMessage  # noqa: E402
from pythonosc.osc_message_builder import build_msg  # noqa: E402

LIMIT_S = 600


class Peer:
    """A client's socket that keeps what it is told."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(LIMIT_S)
        self._server = ("127.0.0.1", port)

    def send(self, address: str, *values: object) -> None:
        self.socket.sendto(build_msg(address, list(values)).dgram, self._server)

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendto(data, self._server)

    def wait_for(self, address: str, value: object = None) -> Any:
        """The value that is told next at an address; another is waited past, if one is given."""
        while True:
            message = OscMessage(self.socket.recv(65_535))
            if message.address == address and value in (None, message.params[0]):
                return message.params[0]


class Running:
    def __init__(self) -> None:
        styles = [NamedStyle(name, Style(prompt=name)) for name in ("oil", "neon")]
        self.controls = Controls(Look(Style(prompt="oil")), styles)
        self.server = OscServer("0", self.controls, Stats())
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.peers: list[Peer] = []

    def peer(self) -> Peer:
        self.peers.append(Peer(self.server.port))
        return self.peers[-1]


@pytest.fixture
def running() -> Iterator[Running]:
    one = Running()
    yield one
    one.server.stop()
    one.thread.join(LIMIT_S)
    assert not one.thread.is_alive()
    for peer in one.peers:
        peer.socket.close()


def test_a_turned_fader_arrives_within_two_frames(running: Running) -> None:
    peer, controls = running.peer(), running.controls
    peer.send("/allaprima/strength", 0.9)
    peer.send("/allaprima/seed")  # answered when the message before it has been taken
    peer.wait_for("/allaprima/seed", 0)
    first, second, third = (controls.advance().style.strength for _ in range(3))
    assert first == pytest.approx(0.75)
    assert second == pytest.approx(third) == pytest.approx(0.9)


def test_values_are_never_queued(running: Running) -> None:
    peer, controls = running.peer(), running.controls
    for value in (0.1, 0.2, 0.3, 0.9, 0.5):
        peer.send("/allaprima/stability", value)
    peer.send("/allaprima/split", True)
    for _ in range(6000):  # the messages before it have been taken then
        if controls.look.split:
            break
        time.sleep(0.01)
    controls.advance()
    assert controls.advance().stability == pytest.approx(0.5)


def test_every_word_has_an_address_that_answers(running: Running) -> None:
    peer, told = running.peer(), {}
    for word, value in running.controls.as_dict().items():
        peer.send(WORDS[word].osc_address)
        told[word] = peer.wait_for(WORDS[word].osc_address)
        assert told[word] == (pytest.approx(value) if isinstance(value, float) else value)
    assert {*told} == {word.name for word in WORDS.values() if word.kind != "action"}


def test_a_query_of_everything_tells_everything(running: Running) -> None:
    peer = running.peer()
    for _ in range(2):
        peer.send("/allaprima")
        waiting = {WORDS[word].osc_address for word in running.controls.as_dict()}
        while waiting:
            waiting.discard(OscMessage(peer.socket.recv(65_535)).address)


def test_switches_buttons_and_styles(running: Running) -> None:
    peer, controls = running.peer(), running.controls
    peer.send("/allaprima/split", 1.0)
    peer.send("/allaprima/freeze/toggle", 1)
    peer.send("/allaprima/freeze/toggle", 0)  # the button is let go
    peer.send("/allaprima/style/next", 1.0)
    peer.send("/allaprima/steps", 3.0)
    peer.send("/allaprima/bypass", False)
    assert peer.wait_for("/allaprima/steps") in (1, 3)
    peer.send("/allaprima/seed", 2**32 - 1)
    peer.send("/allaprima")
    assert peer.wait_for("/allaprima/seed", 2**32 - 1)
    look = controls.look
    assert (look.split, look.freeze, look.bypass) == (True, True, False)
    assert (look.style.prompt, look.style.num_inference_steps) == ("neon", 3)


def test_clients_follow_what_others_change(running: Running) -> None:
    first, second = running.peer(), running.peer()
    for peer in (first, second):
        peer.send("/allaprima/split")
        assert peer.wait_for("/allaprima/split") is False
    first.send("/allaprima/split", True)
    assert second.wait_for("/allaprima/split", True)
    running.controls.nudge("strength", -0.05)  # a key of the window
    for peer in (first, second):
        assert peer.wait_for("/allaprima/strength", pytest.approx(0.55))


def test_what_cannot_be_used_is_told_and_the_fader_goes_back(running: Running) -> None:
    peer = running.peer()
    peer.send("/allaprima/strength", 7.0)
    assert "got strength=7.0, expected" in peer.wait_for("/allaprima/error")
    assert peer.wait_for("/allaprima/strength") == pytest.approx(0.6)
    peer.send("/allaprima/strenght", 0.5)
    assert "expected one of prompt, strength" in peer.wait_for("/allaprima/error")
    peer.send("/allaprima/split", "yes")
    assert "got split='yes', expected true or false" in peer.wait_for("/allaprima/error")
    peer.send("/allaprima/strength", 0.5, 0.6)
    assert "got 2 values for strength" in peer.wait_for("/allaprima/error")


def test_answers_go_to_the_port_that_is_asked_for(running: Running) -> None:
    sender, ear = running.peer(), running.peer()
    sender.send("/allaprima/listen", ear.socket.getsockname()[1])
    assert ear.wait_for("/allaprima/prompt") == "oil"


def test_a_bundle_is_taken_message_by_message(running: Running) -> None:
    builder = osc_bundle_builder.OscBundleBuilder(osc_bundle_builder.IMMEDIATELY)
    for address, value in (("/allaprima/prompt", "fog"), ("/allaprima/split", True)):
        builder.add_content(build_msg(address, [value]))
    peer = running.peer()
    peer.send_bytes(builder.build().dgram)
    peer.send("/allaprima/prompt")
    assert peer.wait_for("/allaprima/prompt", "fog")
    assert running.controls.look.split


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"/", b"#bundle\0" + b"\xff" * 40, b"/a\0\0,f\0\0", bytes(500)]
)
def test_what_is_no_osc_harms_nobody(running: Running, data: bytes) -> None:
    peer = running.peer()
    peer.send_bytes(data)
    peer.send("/other/strength", 0.1)
    peer.send("/allaprima/quit", 0.0)
    peer.send("/allaprima/prompt")
    assert peer.wait_for("/allaprima/prompt") == "oil"


def test_quit_ends_the_session(running: Running) -> None:
    ended = threading.Event()
    running.controls.on_quit = ended.set
    running.peer().send("/allaprima/quit", 1)
    assert ended.wait(LIMIT_S)


def test_figures_can_be_asked_for(running: Running) -> None:
    peer = running.peer()
    peer.send("/allaprima/stats")
    assert peer.wait_for("/allaprima/stats/fps") == 0


def test_a_port_that_cannot_be_had_is_a_sentence(running: Running) -> None:
    for where in (str(running.server.port), "banana", "70000"):
        with pytest.raises(
            ControlError, match=rf"OSC port {where} cannot be opened \(.+\); choose"
        ):
            OscServer(where, running.controls, Stats())
