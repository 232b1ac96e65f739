"""OscServer: changes a running session by Open Sound Control, and tells its clients what holds.

    /allaprima/strength 0.7         a word with its value
    /allaprima/strength             a query: the answer is the same address with the value
    /allaprima/split/toggle 1       a button: a switch the other way, a style by its name
    /allaprima                      a query of everything; /allaprima/stats one of the figures
    /allaprima/listen 9001          answers to this port of the sender's from now on
    ──► /allaprima/strength 0.65    whenever something else has changed it
    ──► /allaprima/error "..."      what cannot be used, and what is expected

Numbers glide to their value within two frames and are never queued (`Controls.glide`). One worker
thread of the session serves. Messages and bundles as in the OSC specification 1.0, by UDP; the time
of a bundle is not waited for. Needs the extra `osc`.
"""

import contextlib
import logging
import selectors
import socket
from collections import OrderedDict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from stream.errors import ControlError
from stream.live.controls import Controls
from stream.live.words import OSC_ROOT, WORDS, Word
from stream.stats import Stats

if TYPE_CHECKING:
    from pythonosc.osc_message import OscMessage

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
MOST_CLIENTS = 16
LARGEST_PACKET_BYTES = 65_535
FEEDBACK_S = 0.05
"""How often clients are told what has changed."""
INSTALL = "install it with pip install 'allaprima[osc]'"
HALF = 0.5
"""From here on a fader's value switches on."""

Address = tuple[str, int]


class OscServer:
    """A service of a live session. `stop` from any thread, the rest from one.

    Args:
        where: A UDP port of this machine, or ``HOST:PORT`` to be reached from others; port 0 lets
            the system choose.
        controls: What the messages change.
        stats: What ``/allaprima/stats`` answers.

    Raises:
        ControlError: The port is taken or may not be used, or python-osc is not installed.
    """

    name = "osc"

    def __init__(self, where: str, controls: Controls, stats: Stats) -> None:
        try:
            import pythonosc.osc_message_builder  # noqa: F401
        except ImportError as err:
            raise ControlError(f"No OSC: it needs python-osc; {INSTALL}.") from err
        self._controls = controls
        self._stats = stats
        self._told: OrderedDict[Address, dict[str, Any]] = OrderedDict()  # client -> what it knows
        self._ports: dict[Address, int] = {}
        self._stopped = False
        self._socket = _bind(where)
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._alarm, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        """The UDP port; the one that the system chose if 0 was asked."""
        return int(self._socket.getsockname()[1])

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            while not self._stopped:
                for key, _ in self._selector.select(FEEDBACK_S if self._told else None):
                    if key.fileobj is self._socket:
                        self._receive()
                self._feed_back()
        finally:
            self.abandon()

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def abandon(self) -> None:
        """Let go of the port where `run` will never be called."""
        self._selector.close()
        for one in (self._socket, self._alarm, self._bell):
            one.close()

    def _receive(self) -> None:
        from pythonosc.osc_packet import OscPacket, ParseError

        try:
            data, sender = self._socket.recvfrom(LARGEST_PACKET_BYTES)
        except OSError:  # Windows tells here that an earlier answer was not wanted
            return
        try:
            messages = [timed.message for timed in OscPacket(data).messages]
        except (ParseError, ValueError, IndexError, UnicodeDecodeError, RecursionError) as err:
            logger.debug("osc: a packet that cannot be read: %s", err)
            return
        for message in messages:
            self._take(message, sender)

    def _take(self, message: "OscMessage", sender: Address) -> None:
        """Do what one message says; what is wrong with it is told the sender."""
        root, *parts = message.address.strip("/").split("/")
        values = list(message.params)
        if f"/{root}" != OSC_ROOT:
            return  # of another program's
        try:
            if parts == ["listen"]:
                self._listen(values, sender)
                return
            known = self._known(sender)
            if parts == ["stats"]:
                self._tell_stats(sender)
            elif parts:
                self._change(parts, values, known)
            else:
                known.clear()
        except ValueError as err:
            self._send(sender, f"{OSC_ROOT}/error", str(err))

    def _known(self, sender: Address) -> dict[str, Any]:
        """What a client has been told; a new one knows nothing, and is told everything."""
        known = self._told.setdefault(sender, {})
        self._told.move_to_end(sender)
        while len(self._told) > MOST_CLIENTS:
            gone, _ = self._told.popitem(last=False)
            self._ports.pop(gone, None)
        return known

    def _listen(self, values: list[Any], sender: Address) -> None:
        if len(values) != 1 or not isinstance(values[0], int) or not 0 < values[0] < 65_536:
            raise ValueError(f"got listen={values}, expected one port, 1 to 65535")
        self._ports[sender] = values[0]
        self._known(sender).clear()

    def _change(self, parts: list[str], values: list[Any], known: dict[str, Any]) -> None:
        word = WORDS.get(parts[0])
        if word is None:
            raise ValueError(f"got {parts[0]!r}, expected one of {', '.join(WORDS)}")
        if len(parts) > 1:
            if not values or _is_pressed(values[0]):
                _press(self._controls, word, "/".join(parts[1:]))
        elif not values:
            known.pop(word.name, None)  # then it is told
        elif len(values) > 1:
            raise ValueError(f"got {len(values)} values for {word.name}, expected one")
        else:
            known[word.name] = values[0]  # whoever turns a fader needs no echo, only corrections
            _set(self._controls, word, values[0])

    def _feed_back(self) -> None:
        """Tell each client what it does not know yet."""
        if not self._told:
            return
        aims = self._controls.aims()
        for client, known in self._told.items():
            for word, value in aims.items():
                if word not in known or not _is_same(known[word], value):
                    known[word] = value
                    self._send(client, WORDS[word].osc_address, value)

    def _tell_stats(self, client: Address) -> None:
        stats = self._stats
        self._send(client, f"{OSC_ROOT}/stats/fps", float(stats.recent_fps()))
        self._send(client, f"{OSC_ROOT}/stats/latency", float(stats.latency_ms["p95"]))
        self._send(client, f"{OSC_ROOT}/stats/effort", stats.effort)

    def _send(self, client: Address, address: str, value: Any) -> None:
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address=address)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 2**31:
            builder.add_arg(value, OscMessageBuilder.ARG_TYPE_INT64)
        else:
            builder.add_arg(value)
        target = (client[0], self._ports.get(client, client[1]))
        with contextlib.suppress(OSError):  # one who is gone gets no answer
            self._socket.sendto(builder.build().dgram, target)


def _set(controls: Controls, word: Word, value: Any) -> None:
    """Give a word the value of a message: OSC has floats where a button or a fader is meant."""
    if word.kind in ("switch", "action"):
        if not isinstance(value, bool | int | float):
            raise ValueError(f"got {word.name}={value!r}, expected true or false")
        if word.kind == "switch":
            controls.change({word.name: _is_pressed(value)})
        elif _is_pressed(value):
            controls.do(word.name)
    elif word.kind == "whole" and isinstance(value, float):
        controls.change({word.name: round(value) if abs(value) < 2**53 else value})
    elif word.kind == "number":
        controls.glide(word.name, value)
    else:
        controls.change({word.name: value})


def _press(controls: Controls, word: Word, button: str) -> None:
    if word.kind == "name":
        controls.change({word.name: button})
    elif word.kind == "switch" and button == "toggle":
        controls.toggle(word.name)
    else:
        raise ValueError(f"got {word.name}/{button}, expected {word.name} and a value")


def _is_pressed(value: Any) -> bool:
    return value is True or (isinstance(value, int | float) and value >= HALF)


def _is_same(told: Any, value: Any) -> bool:
    """Whether a client shows this value; a float of OSC has 32 bits."""
    if isinstance(value, bool) and isinstance(told, bool | int | float):
        return _is_pressed(told) == value
    if isinstance(value, int | float) and isinstance(told, int | float):
        return abs(told - value) <= 1e-6 * max(1.0, abs(value))
    return bool(told == value)


def _bind(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    try:
        if not port.isdigit():
            raise OSError(0, "expected a port or HOST:PORT")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        with ExitStack() as on_failure:
            on_failure.callback(udp.close)
            udp.bind((host.strip("[]") or LOOPBACK, int(port)))
            udp.setblocking(False)
            on_failure.pop_all()
    except (OSError, OverflowError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise ControlError(
            f"The OSC port {where} cannot be opened ({reason}); choose another port."
        ) from err
    return udp
