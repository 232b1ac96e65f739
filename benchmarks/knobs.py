"""Knobs: in how many frames of the source a turned knob shows.

    python benchmarks/knobs.py [--turns 40] [--fps 24]

A session with a synthetic camera and a painter without a model, which notes the strength that each
frame is painted with. A knob is turned by a real OSC message to a UDP port, or by MIDI messages to
the player of the default map (where the kernel has no MIDI port); counted are the frames that were
captured after that, up to the first that is painted otherwise and the first that is painted with
the knob's value. Frames are counted, not time, so that a busy machine changes little. Last line:
one JSON object.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

from latency import SIZE, ReadingSink, StampingSource
from machine import commit, machine, versions
from timed_painter import TimedPainter

from models import Style
from stream import Frame
from stream.clock import Clock
from stream.live.controls import Controls, Look
from stream.live.midi import MidiPlayer
from stream.live.midi_map import default_map
from stream.live.osc import OscServer
from stream.live.session import LiveSession
from stream.stats import Stats

LEVELS = 0.3, 0.8
STRENGTH_CC = 74
PAUSE_FRAMES = 6
"""Between two turns: a glide is over by then."""

FIRST_FRAME = 12


class NotingPainter(TimedPainter):
    """Notes when a frame was captured and the strength that it is painted with."""

    def __init__(self, paint_s: float) -> None:
        super().__init__(paint_s, SIZE[1])
        self.noted: list[tuple[float, float]] = []

    def paint(self, frame: Frame, look: Look) -> Frame:
        self.noted.append((frame.captured_at_s, look.style.strength))
        return super().paint(frame, look)


class Hands:
    """Turns a knob every few frames, in a thread of its own; remembers when, and to what."""

    def __init__(self, source: StampingSource, turns: int, turn: Callable[[float], None]) -> None:
        self.turned: list[tuple[float, float]] = []
        self._source, self._turns, self._turn = source, turns, turn
        self._clock = Clock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        never, due = threading.Event(), FIRST_FRAME
        while len(self.turned) < self._turns:
            if len(self._source.captured_s) < due:
                never.wait(0.002)
                continue
            due = len(self._source.captured_s) + PAUSE_FRAMES
            level = LEVELS[len(self.turned) % 2]
            self.turned.append((self._clock.now_s(), level))
            self._turn(level)


def counted(
    noted: list[tuple[float, float]], turned: list[tuple[float, float]]
) -> tuple[list[int], list[int]]:
    """Of each turn: frames until something shows, and until all of it does."""
    begun, done = [], []
    ends = [at_s for at_s, _ in turned[1:]] + [float("inf")]
    for (at_s, level), end_s in zip(turned, ends, strict=True):
        before = [strength for captured_s, strength in noted if captured_s <= at_s][-1]
        after = [strength for captured_s, strength in noted if at_s < captured_s <= end_s]
        moved = [index for index, strength in enumerate(after, 1) if strength != before]
        there = [index for index, one in enumerate(after, 1) if abs(one - level) < 0.01]
        if moved and there:
            begun.append(moved[0])
            done.append(there[0])
    return begun, done


def measure(kind: str, turns: int, fps: float) -> dict[str, object]:
    """One way in."""
    clock, stats = Clock(), Stats()
    controls = Controls(Look(Style(strength=LEVELS[1]), transition_s=0.0))
    source = StampingSource(fps, (turns + 4) * PAUSE_FRAMES / fps, clock)
    painter = NotingPainter(0.25 / fps)
    services = []
    if kind == "osc":
        from pythonosc.udp_client import SimpleUDPClient

        server = OscServer("0", controls, stats)
        client = SimpleUDPClient("127.0.0.1", server.port)
        services.append(server)

        def turn(level: float) -> None:
            client.send_message("/allaprima/strength", level)
    else:
        player = MidiPlayer(controls, default_map())
        least, most = 0.05, 1.0

        def turn(level: float) -> None:
            value = round((level - least) / (most - least) * 127)
            message = SimpleNamespace(
                type="control_change", channel=0, control=STRENGTH_CC, value=value
            )
            player.play([message])

    hands = Hands(source, turns, turn)
    sink = ReadingSink(source, clock)
    LiveSession(
        source,
        lambda: painter,
        [("null", sink)],
        controls=controls,
        clock=clock,
        stats=stats,
        services=services,
    ).run()
    begun, done = counted(painter.noted, hands.turned)
    return {
        "turns": len(done),
        "frames_until_it_shows": {"median": sorted(begun)[len(begun) // 2], "most": max(begun)},
        "frames_until_it_is_there": {"median": sorted(done)[len(done) // 2], "most": max(done)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--fps", type=float, default=24.0)
    asked = parser.parse_args()
    rows = {kind: measure(kind, asked.turns, asked.fps) for kind in ("osc", "midi")}
    for kind, row in rows.items():
        print(f"{kind:5} {row}")
    told = {"rows": rows, "fps": asked.fps, "at": time.strftime("%Y-%m-%d"), "commit": commit()}
    print(json.dumps(told | {"machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
