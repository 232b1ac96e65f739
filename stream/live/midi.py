"""MidiInput: changes a running session by MIDI controllers, notes and pitch wheels.

    port ──messages──► MidiPlayer ──map──► Controls

A controller that is not there, or is pulled out, is waited for. Of the positions that a knob went
through since the last look only the newest is taken; numbers glide to it within two frames
(`Controls.glide`). One worker thread of the session looks every few milliseconds. Needs the extra
`midi`.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stream.clock import Clock
from stream.errors import ControlError
from stream.live.beat_clock import BeatClock
from stream.live.controls import Controls
from stream.live.midi_map import MOST_MIDI, MidiControl, Trigger
from stream.live.words import WORDS

logger = logging.getLogger(__name__)

ANY = "any"
"""The name that every port answers to."""

LOOK_S = 0.004
"""How often messages are taken."""

PORTS_S = 1.0
"""How often it is looked which ports there are."""

BEND = 8192
INSTALL = "install it with pip install 'allaprima[midi]'"


class Port(Protocol):
    """What is used of an input port of mido's."""

    def iter_pending(self) -> Iterable[Any]:
        """The messages that have come."""

    def close(self) -> None:
        """Let go of it."""


class Backend(Protocol):
    """What is used of the module mido."""

    def get_input_names(self) -> list[str]:
        """The ports that there are."""

    def open_input(self, name: str) -> Port:
        """Open one."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing moved: where it is, 0 to 1; a note is let go at 0."""

    trigger: Trigger
    number: int
    channel: int
    position: float


def read_move(message: Any) -> Move | None:
    """What a message of mido's moves; ``None`` for those that move nothing (clock, aftertouch)."""
    if message.type == "control_change":
        position = message.value / MOST_MIDI
        return Move("controller", message.control, message.channel + 1, position)
    if message.type in ("note_on", "note_off"):
        velocity = message.velocity if message.type == "note_on" else 0
        return Move("note", message.note, message.channel + 1, velocity / MOST_MIDI)
    if message.type == "pitchwheel":
        position = (message.pitch + BEND) / (2 * BEND - 1)
        return Move("pitch_wheel", 0, message.channel + 1, position)
    return None


def load_backend() -> Backend:
    """The module mido, if this system has MIDI.

    Raises:
        ControlError: mido or python-rtmidi is not installed, or the system has no MIDI.
    """
    try:
        import mido
        import rtmidi  # noqa: F401
    except ImportError as err:
        raise ControlError(f"No MIDI: it needs mido and python-rtmidi; {INSTALL}.") from err
    backend: Backend = mido
    try:
        backend.get_input_names()
    except (OSError, RuntimeError) as err:
        raise ControlError(
            f"No MIDI: this system offers none ({err}); on Linux load snd-seq (sudo modprobe "
            "snd-seq)."
        ) from err
    return backend


class MidiPlayer:
    """Plays moves on the controls, as a map says. Belongs to one thread."""

    def __init__(self, controls: Controls, midi_map: Sequence[MidiControl]) -> None:
        self._controls = controls
        self._map = tuple(midi_map)
        self._pressed: set[tuple[MidiControl, int]] = set()

    def play(self, messages: Iterable[Any]) -> None:
        """Take what has come; of each knob only its newest position."""
        self.play_moves(filter(None, map(read_move, messages)))

    def play_moves(self, moves: Iterable[Move]) -> None:
        """The same for what has been read already."""
        knobs: dict[MidiControl, float] = {}
        for move in moves:
            for control in self._map:
                if not _is_of(control, move):
                    continue
                if _is_button(control):
                    self._press(control, move)
                elif move.trigger != "note" or move.position > 0:
                    knobs[control] = control.at(move.position)
        for control, value in knobs.items():
            self._change(control.word, value)

    def _press(self, control: MidiControl, move: Move) -> None:
        """A button acts when it goes down; one of those that are held also when it goes up."""
        button = control, move.channel
        is_down = move.position > 0 if move.trigger == "note" else move.position >= 0.5
        if is_down == (button in self._pressed):
            return
        (self._pressed.add if is_down else self._pressed.discard)(button)
        word = WORDS[control.word]
        if control.hold:
            self._change(word.name, is_down)
        elif not is_down:
            return
        elif control.value is not None:
            self._change(word.name, control.value)
        elif word.kind == "switch":
            self._controls.toggle(word.name)
        else:
            self._change(word.name, True)

    def _change(self, word: str, value: Any) -> None:
        try:
            if WORDS[word].kind == "number" and not isinstance(value, str):
                self._controls.glide(word, value)
            else:
                self._controls.change({word: value})
        except ValueError as err:  # a style that the list does not have
            logger.warning("midi: %s", err)


def _is_of(control: MidiControl, move: Move) -> bool:
    same = (control.trigger, control.number) == (move.trigger, move.number)
    return same and control.channel in (None, move.channel)


def _is_button(control: MidiControl) -> bool:
    return control.value is not None or not WORDS[control.word].is_continuous


class MidiInput:
    """A service of a live session. `stop` from any thread, the rest from one.

    Args:
        name: Part of the name of the ports to take, in either case; ``any`` takes all.
        player: Plays what comes.
        backend: The module mido.
        beats: Follows MIDI clock, start, continue and stop.
    """

    name = "midi"

    def __init__(
        self,
        name: str,
        player: MidiPlayer,
        backend: Backend,
        *,
        clock: Clock | None = None,
        beats: BeatClock | None = None,
    ) -> None:
        self._beats = beats or BeatClock()
        self._wanted = name
        self._player = player
        self._backend = backend
        self._clock = clock or Clock()
        self._ports: dict[str, Port] = {}
        self._stopped = threading.Event()
        self._looked_s: float | None = None

    def run(self) -> None:
        """Play until `stop`."""
        try:
            while not self._clock.wait(self._stopped, LOOK_S):
                self.look()
        finally:
            self.abandon()

    def stop(self) -> None:
        self._stopped.set()

    def abandon(self) -> None:
        """Let go of the ports where `run` will never be called."""
        for name in list(self._ports):
            self._close(name)

    def look(self) -> None:
        """Take what has come, and now and then look for ports that came or went."""
        now_s = self._clock.now_s()
        if self._looked_s is None or now_s - self._looked_s >= PORTS_S:
            is_first = self._looked_s is None
            self._looked_s = now_s
            self._plug(is_first=is_first)
        for name, port in list(self._ports.items()):
            try:
                messages = list(port.iter_pending())
                self._follow(messages)
                self._player.play(messages)
            except OSError as err:
                logger.debug("midi: %s: %s", name, err)
                self._close(name)

    def _follow(self, messages: Iterable[Any]) -> None:
        """Pass on what a sequencer says of its beats."""
        beats = self._beats
        told = {
            "clock": beats.pulse,
            "start": beats.start,
            "continue": beats.go_on,
            "stop": beats.stop,
        }
        for message in messages:
            if message.type in told:
                told[message.type](self._clock.now_s())

    def _plug(self, *, is_first: bool) -> None:
        try:
            names = self._backend.get_input_names()
        except (OSError, RuntimeError) as err:
            logger.debug("midi: the ports cannot be listed: %s", err)
            return
        wanted = [name for name in names if is_wanted(self._wanted, name)]
        for name in self._ports.keys() - set(wanted):
            self._close(name)
            logger.warning("midi: %s is gone; it is waited for", name)
        for name in wanted:
            if name not in self._ports:
                self._open(name, is_first=is_first)
        if is_first and not self._ports:
            there = ", ".join(names) or "none"
            logger.warning("midi: no %s yet; it is waited for (there: %s)", self._wanted, there)

    def _open(self, name: str, *, is_first: bool) -> None:
        try:
            self._ports[name] = self._backend.open_input(name)
        except (OSError, RuntimeError) as err:  # taken by another program; tried again
            logger.debug("midi: %s cannot be opened: %s", name, err)
            return
        logger.log(logging.INFO if is_first else logging.WARNING, "midi: %s is there", name)

    def _close(self, name: str) -> None:
        try:
            self._ports.pop(name).close()
        except (OSError, RuntimeError) as err:
            logger.debug("midi: %s cannot be closed: %s", name, err)


def is_wanted(wanted: str, port: str) -> bool:
    """Whether a port is one of those that a name asks for."""
    return wanted.lower() == ANY or wanted.lower() in port.lower()
