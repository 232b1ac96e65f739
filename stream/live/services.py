"""Services: what runs beside a live session in threads of its own, and which options open which.

    --control ──► ControlServer     --midi ──► MidiInput
    --osc     ──► OscServer         --dmx  ──► DmxInput
                                    --metrics-port ──► MetricsServer

Opened by `stream.live.runner`, run by `stream.live.session`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stream.live.beat_clock import BeatClock
from stream.live.control_server import ControlServer
from stream.live.controls import Controls
from stream.live.dmx import DmxInput, parse_where
from stream.live.metrics import MetricsServer
from stream.live.midi import MidiInput, MidiPlayer, load_backend
from stream.live.midi_map import MidiControl, default_map, read_midi_map
from stream.live.options import LiveOptions
from stream.live.osc import OscServer
from stream.stats import Stats


class Service(Protocol):
    """Something that runs beside the session in a thread of its own: a control socket."""

    name: str

    def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """End `run`, from any thread; at once and also before it began."""


class OpenedService(Service, Protocol):
    """One that holds a port or a device from the start."""

    def abandon(self) -> None:
        """Let go of everything where `run` will never be called."""


def service_openers(
    options: LiveOptions, controls: Controls, stats: Stats, beats: BeatClock
) -> list[Callable[[], OpenedService]]:
    """What opens each service that was asked for; each may raise a ControlError.

    Raises:
        ValueError: A file that one needs cannot be used.
    """
    control, osc, port = options.control, options.osc, options.metrics_port
    openers: list[Callable[[], OpenedService]] = []
    if control is not None:
        openers.append(lambda: ControlServer(control, controls, stats))
    if osc is not None:
        openers.append(lambda: OscServer(osc, controls, stats))
    if options.midi is not None:
        openers.append(midi_opener(options.midi, options.midi_map, controls, beats))
    if options.dmx is not None:
        openers.append(dmx_opener(options.dmx, options.midi_map, controls))
    if port is not None:
        openers.append(lambda: MetricsServer(port, stats))
    return openers


def midi_opener(
    name: str, map_file: str | None, controls: Controls, beats: BeatClock
) -> Callable[[], OpenedService]:
    """What opens the MIDI input.

    Raises:
        ValueError: The map cannot be used.
    """
    midi_map = _map_of(map_file)
    return lambda: MidiInput(name, MidiPlayer(controls, midi_map), load_backend(), beats=beats)


def dmx_opener(where: str, map_file: str | None, controls: Controls) -> Callable[[], OpenedService]:
    """What opens the DMX input.

    Raises:
        ValueError: The map cannot be used, or there is nothing to listen to.
    """
    parse_where(where)
    dmx_map = _map_of(map_file)
    return lambda: DmxInput(where, MidiPlayer(controls, dmx_map))


def _map_of(map_file: str | None) -> list[MidiControl]:
    return default_map() if map_file is None else read_midi_map(Path(map_file))
