"""DMX by Art-Net and sACN: packets of stupidArtnet and sacn over real UDP, and what is none."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import allaprima, assert_refused
from fakes import LIMIT_S
from sacn.messages.data_packet import DataPacket
from stupidArtnet import StupidArtnet

from models import Style
from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import ControlError
from stream.live.controls import Controls, Look
from stream.live.dmx import SACN_LOST_S, DmxInput, SacnReader, Where, parse_where, read_artnet
from stream.live.midi import MidiPlayer
from stream.live.midi_map import default_map, read_midi_map
from stream.live.words import SWITCHES, WORDS

CID = tuple(range(16))


def make() -> Controls:
    return Controls(Look(Style("oil", strength=0.5)))


@contextmanager
def listening(
    where: str, controls: Controls, *, clock: ManualClock | None = None
) -> Iterator[DmxInput]:
    """An input at a port that the system chose."""
    dmx = DmxInput(f"{where}@127.0.0.1:0", MidiPlayer(controls, default_map()), clock=clock)
    try:
        yield dmx
    finally:
        dmx.abandon()


@contextmanager
def desk(dmx: DmxInput, universe: int = 0) -> Iterator[StupidArtnet]:
    sender = StupidArtnet("127.0.0.1", universe, packet_size=32, port=dmx.port)
    try:
        yield sender
    finally:
        sender.close()


def show(sender: StupidArtnet, **slots: int) -> None:
    """Send all slots; `_2=128` is slot 2 at its middle."""
    for slot, value in slots.items():
        sender.set_single_value(int(slot[1:]), value)
    sender.show()


def settled(controls: Controls) -> Look:
    controls.advance()
    return controls.advance()


def sacn_packet(*slots: int, universe: int = 1, priority: int = 100, ends: bool = False) -> bytes:
    packet = DataPacket(CID, "desk", universe, dmxData=slots, priority=priority)
    packet.option_StreamTerminated = ends
    return bytes(packet.getBytes())


# Art-Net


def test_a_fader_turns_its_word_within_two_frames() -> None:
    controls = make()
    with listening("artnet", controls) as dmx, desk(dmx) as sender:
        show(sender, _1=10, _6=0)
        dmx.look()
        assert settled(controls) == make().look  # where the faders stand
        show(sender, _1=255, _6=200)
        dmx.look()
        look = settled(controls)
        assert (look.style.strength, look.split) == (1.0, True)
        show(sender, _1=0, _6=127)
        dmx.look()
        look = settled(controls)
        assert look.style.strength == pytest.approx(WORDS["strength"].least)
        assert not look.split


def test_what_does_not_move_is_left_to_others() -> None:
    controls = make()
    with listening("artnet", controls) as dmx, desk(dmx) as sender:
        for value in (10, 20):
            show(sender, _1=value)
            dmx.look()
        settled(controls)
        controls.change({"strength": 0.7, "stability": 0.9})
        show(sender, _1=20)
        dmx.look()
        look = settled(controls)
        assert (look.style.strength, look.stability) == (0.7, 0.9)


def test_of_many_packets_the_newest_is_taken() -> None:
    controls = make()
    taken: list[float] = []
    glide = controls.glide
    controls.glide = lambda word, value: (taken.append(value), glide(word, value))
    with listening("artnet", controls) as dmx, desk(dmx) as sender:
        show(sender, _1=0)
        dmx.look()
        for value in range(1, 101):
            show(sender, _1=value)
        dmx.look()
    strength = WORDS["strength"]
    assert taken == [pytest.approx(strength.least + (1 - strength.least) * 100 / 255)]


def test_another_universe_is_not_heard() -> None:
    controls = make()
    with listening("artnet:3", controls) as dmx, desk(dmx, 3) as ours, desk(dmx, 4) as other:
        for sender in (ours, other):
            show(sender, _1=0)
            dmx.look()
        show(other, _1=255)
        dmx.look()
        assert settled(controls).style.strength == 0.5
        show(ours, _1=255)
        dmx.look()
        assert settled(controls).style.strength == 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Art-Net\0",
        b"Art-Net\0\0\x20" + bytes(20),  # ArtPoll
        b"Art-Nut\0\0\x50" + bytes(20),
        bytes(2000),
    ],
)
def test_what_is_no_artnet_is_left(data: bytes) -> None:
    assert read_artnet(data, 0) is None


def test_a_packet_that_promises_more_than_it_has_gives_what_it_has() -> None:
    head = b"Art-Net\0\0\x50\0\x0e\1\0\0\0\2\0"
    assert read_artnet(head + b"\1\2\3", 0) == b"\1\2\3"
    assert read_artnet(head[:-2] + b"\0\2" + b"\1\2\3", 0) == b"\1\2"


# sACN


def test_sacn_turns_words_too() -> None:
    controls = make()
    with (
        listening("sacn", controls, clock=ManualClock()) as dmx,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        for slots in ((0, 0), (255, 0), (255, 255)):
            sender.sendto(sacn_packet(*slots), ("127.0.0.1", dmx.port))
            dmx.look()
        look = settled(controls)
        assert (look.style.strength, look.stability) == (1.0, 1.0)
        sender.sendto(b"nonsense", ("127.0.0.1", dmx.port))
        sender.sendto(sacn_packet(0, universe=2), ("127.0.0.1", dmx.port))
        dmx.look()
        assert settled(controls) == look


def test_the_highest_priority_is_heard_until_it_is_silent_or_ends() -> None:
    clock = ManualClock()
    reader = SacnReader(1, clock)

    def heard(slot: int, priority: int, **traits: bool) -> bool:
        return reader.read(sacn_packet(slot, priority=priority, **traits)) is not None

    assert heard(1, 50) and heard(2, 100) and not heard(3, 50)
    clock.advance(SACN_LOST_S + 0.1)
    assert heard(4, 50)
    assert heard(5, 120) and not heard(6, 120, ends=True)
    assert heard(7, 50)


def test_sacn_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacn.messages.data_packet", None)
    with pytest.raises(ControlError, match=r"pip install 'allaprima\[dmx\]'"):
        DmxInput("sacn@127.0.0.1:0", MidiPlayer(make(), default_map()))


# Maps


def test_every_number_and_switch_is_on_the_default_map() -> None:
    mapped = {control.word for control in default_map() if control.trigger == "dmx"}
    numbers = {word.name for word in WORDS.values() if word.is_continuous} - {"seed"}
    assert mapped == numbers | set(SWITCHES)
    slots = [control.number for control in default_map() if control.trigger == "dmx"]
    assert sorted(slots) == list(range(1, len(slots) + 1))


def test_a_map_may_hold_slots_and_controllers(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        '[[control]]\ndmx = 512\nword = "strength"\nfrom = 0.2\nto = 0.4\n'
        '[[control]]\ncontroller = 7\nword = "stability"\n'
        '[[control]]\ndmx = 2\nword = "prompt"\nvalue = "fog"\n',
        encoding="utf-8",
    )
    controls, controls_map = make(), read_midi_map(path)
    dmx = DmxInput("artnet@127.0.0.1:0", MidiPlayer(controls, controls_map))
    dmx.abandon()
    dmx._take(bytes(512))
    dmx._take(bytes([0, 128]) + bytes(509) + b"\xff")
    look = settled(controls)
    assert (look.style.strength, look.style.prompt) == (pytest.approx(0.4), "fog")
    assert "dmx = 512" in controls_map[0].as_toml()


@pytest.mark.parametrize("slot", ["0", "513", '"1"', "true"])
def test_a_slot_that_is_none_is_refused(tmp_path: Path, slot: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(f'[[control]]\ndmx = {slot}\nword = "strength"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"control 1 of .*: got dmx=.*, expected 1 to 512"):
        read_midi_map(path)


# Where, and the service


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("artnet", Where("artnet", 0, "127.0.0.1", 6454)),
        ("artnet:7", Where("artnet", 7, "127.0.0.1", 6454)),
        ("sacn", Where("sacn", 1, "127.0.0.1", 5568)),
        ("sacn:2@0.0.0.0", Where("sacn", 2, "0.0.0.0", 5568)),
        ("artnet@10.0.0.1:7000", Where("artnet", 0, "10.0.0.1", 7000)),
    ],
)
def test_where_to_listen(text: str, where: Where) -> None:
    assert parse_where(text) == where


@pytest.mark.parametrize("text", ["", "dmx", "sacn:0", "artnet:40000", "artnet:-1", "sacn@h:70000"])
def test_nowhere_to_listen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"got dmx={text}, expected"):
        parse_where(text)


def test_the_command_refuses_it_too() -> None:
    args = ("live", "--from", "testsrc", "--to", "null", "--dmx", "desk")
    assert_refused(allaprima(*args), ExitCode.USAGE, "got --dmx desk, expected artnet or sacn")


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(ControlError, match=r"DMX cannot be heard at 192\.0\.2\.1:6454"):
        DmxInput("artnet@192.0.2.1", MidiPlayer(make(), default_map()))


def test_a_stop_ends_the_service() -> None:
    dmx = DmxInput("artnet@127.0.0.1:0", MidiPlayer(make(), default_map()))
    thread = threading.Thread(target=dmx.run)
    thread.start()
    dmx.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
