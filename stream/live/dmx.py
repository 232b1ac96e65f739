"""DmxInput: changes a running session by a lighting desk, over Art-Net or sACN.

    UDP ──Art-Net, sACN──► newest slots of one universe ──what moved──► MidiPlayer ──map──► Controls

A desk sends all its slots many times a second. What it sends first is where its faders stand; a
word follows its slot from when that moves, so that keys, OSC and MIDI can turn it too. Of the
packets since the last look only the newest is taken. One worker thread of the session waits for
them.

Art-Net's one packet that matters is read here (Art-Net 4, ArtDmx); of the libraries for it, those
that receive cannot be told to listen to this machine only, nor to end. sACN (ANSI E1.31) is read by
sacn, the extra `dmx`.
"""

import contextlib
import logging
import re
import socket
import struct
from typing import Literal, NamedTuple

from stream.clock import Clock
from stream.errors import ControlError
from stream.live.midi import MidiPlayer, Move

logger = logging.getLogger(__name__)

Protocol = Literal["artnet", "sacn"]

WHERE = re.compile(r"(artnet|sacn)(?::(\d{1,5}))?(?:@([^\s:]+)(?::(\d{1,5}))?)?")
PORTS = {"artnet": 6454, "sacn": 5568}
FIRST_UNIVERSE = {"artnet": 0, "sacn": 1}
LAST_UNIVERSE = {"artnet": 32_767, "sacn": 63_999}
HERE = "127.0.0.1"
INSTALL = "install it with pip install 'allaprima[dmx]'"

SLOTS = 512
MOST_DMX = 255
LARGEST_PACKET_BYTES = 2048
LOOK_S = 0.2
"""How long a wait for packets takes at most before it looks whether it is to end."""

ARTNET_HEAD = struct.Struct("<8sH2sBBHxx")
"""Id, opcode, protocol version, sequence, physical port, universe; then a length, big-endian."""
ARTNET_ID = b"Art-Net\0"
ARTNET_DMX = 0x5000

SACN_LOST_S = 2.5
"""A source that is silent for so long has lost its priority (E1.31, 6.7.1)."""


class Where(NamedTuple):
    """What to listen to.

    Attributes:
        protocol: Of the desk.
        universe: 0 to 32767 of Art-Net, 1 to 63999 of sACN.
        host: The address of ours that is listened at.
        port: UDP.
    """

    protocol: Protocol
    universe: int
    host: str
    port: int


def parse_where(text: str) -> Where:
    """
    Raises:
        ValueError: It names nothing to listen to.
    """
    found = WHERE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"got dmx={text}, expected artnet or sacn, such as artnet:0 or sacn:1@0.0.0.0"
        )
    protocol: Protocol = "artnet" if found[1] == "artnet" else "sacn"
    first, last = FIRST_UNIVERSE[protocol], LAST_UNIVERSE[protocol]
    universe = first if found[2] is None else int(found[2])
    if not first <= universe <= last:
        raise ValueError(f"got dmx={text}, expected a universe, {first} to {last}")
    port = PORTS[protocol] if found[4] is None else int(found[4])
    if port > 65_535:
        raise ValueError(f"got dmx={text}, expected a port, 0 to 65535")
    return Where(protocol, universe, found[3] or HERE, port)


def read_artnet(data: bytes, universe: int) -> bytes | None:
    """The slots of an ArtDmx packet; ``None`` for anything else, and for another universe."""
    if len(data) < ARTNET_HEAD.size:
        return None
    name, code, _, _, _, of_universe = ARTNET_HEAD.unpack_from(data)
    if (name, code, of_universe) != (ARTNET_ID, ARTNET_DMX, universe):
        return None
    (length,) = struct.unpack_from(">H", data, ARTNET_HEAD.size - 2)
    return data[ARTNET_HEAD.size : ARTNET_HEAD.size + min(length, SLOTS)]


class SacnReader:
    """The slots of the sACN source with the highest priority. Not thread-safe.

    Raises:
        ControlError: sacn is not installed.
    """

    def __init__(self, universe: int, clock: Clock) -> None:
        try:
            from sacn.messages.data_packet import DataPacket
        except ImportError as err:
            raise ControlError(f"No sACN: it needs sacn; {INSTALL}.") from err
        self._parse = DataPacket.make_data_packet
        self._universe, self._clock = universe, clock
        self._priority, self._heard_s = 0, 0.0

    def read(self, data: bytes) -> bytes | None:
        """The slots of a packet; ``None`` where it is of no use."""
        try:
            packet = self._parse(data)
        except (TypeError, ValueError, IndexError, struct.error):
            return None
        if packet.universe != self._universe or packet.dmxStartCode != 0:
            return None
        now_s = self._clock.now_s()
        is_lost = now_s - self._heard_s > SACN_LOST_S
        if packet.priority < self._priority and not is_lost:
            return None
        self._priority, self._heard_s = packet.priority, now_s
        if packet.option_StreamTerminated:
            self._priority = 0
            return None
        return bytes(packet.dmxData)


class DmxInput:
    """A service of a live session. `stop` from any thread, the rest from one.

    Args:
        where: As `parse_where` takes it; without a host it is heard from this machine only, and
            port 0 lets the system choose.
        player: Plays what moves.

    Raises:
        ControlError: The port is taken or may not be used, or sacn is not installed.
        ValueError: As `parse_where`.
    """

    name = "dmx"

    def __init__(self, where: str, player: MidiPlayer, *, clock: Clock | None = None) -> None:
        self._where = parse_where(where)
        self._player = player
        self._slots = b""
        self._stopped = False
        self._sacn: SacnReader | None = None
        if self._where.protocol == "sacn":
            self._sacn = SacnReader(self._where.universe, clock or Clock())
        self._socket = _bind(self._where)

    @property
    def port(self) -> int:
        """The UDP port; the one that the system chose if 0 was asked."""
        return int(self._socket.getsockname()[1])

    def run(self) -> None:
        """Play until `stop`."""
        try:
            while not self._stopped:
                self.look()
        finally:
            self.abandon()

    def stop(self) -> None:
        self._stopped = True

    def abandon(self) -> None:
        """Let go of the port where `run` will never be called."""
        self._socket.close()

    def look(self) -> None:
        """Wait a moment for packets; of those that have come take the newest."""
        newest = None
        while (data := self._receive(waits=newest is None)) is not None:
            newest = self._read(data) or newest
        if newest is not None:
            self._take(newest)

    def _receive(self, *, waits: bool) -> bytes | None:
        """A packet, if one has come or comes in time."""
        self._socket.settimeout(LOOK_S if waits else 0.0)
        try:
            return self._socket.recv(LARGEST_PACKET_BYTES)
        except (TimeoutError, BlockingIOError, ConnectionError):
            return None

    def _read(self, data: bytes) -> bytes | None:
        if self._sacn is not None:
            return self._sacn.read(data)
        return read_artnet(data, self._where.universe)

    def _take(self, slots: bytes) -> None:
        """Play the slots that have moved since the last packet."""
        before, self._slots = self._slots, slots
        moves = [
            Move("dmx", number, 0, now / MOST_DMX)
            for number, (now, then) in enumerate(zip(slots, before, strict=False), 1)
            if now != then
        ]
        self._player.play_moves(moves)


def _bind(where: Where) -> socket.socket:
    """
    Raises:
        ControlError: It cannot be had.
    """
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(one.close)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((where.host, where.port))
        except (OSError, OverflowError) as err:
            reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
            raise ControlError(
                f"DMX cannot be heard at {where.host}:{where.port} ({reason}); another program has "
                "the port, or this machine not that address."
            ) from err
        if where.protocol == "sacn" and where.host != HERE:
            _join(one, where.universe)
        on_failure.pop_all()
    return one


def _join(one: socket.socket, universe: int) -> None:
    """Ask the network for a universe (E1.31, 9.3.1); a desk may send straight to us as well."""
    group = socket.inet_aton(f"239.255.{universe >> 8}.{universe & 255}")
    request = group + socket.inet_aton("0.0.0.0")
    try:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError as err:
        logger.warning("dmx: this network has no multicast (%s)", err.strerror)
