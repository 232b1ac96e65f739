"""What the streaming layer costs a frame beside the bare engine: channels, statistics, stylizer.

    python benchmarks/streaming.py [--quick] [--size N] [--model FOLDER] [--device-ms MS ...]

Engines: one that gives its input back at once, so that what remains is the layer's own; ones that
give it back after so many ms on a device of their own, as a GPU does while the host works; and the
real one. Each paints the same moving frames from memory in seven ways, in turns: called bare; by
the stylizer; by a session, four threads and three channels; both with stability; the stylizer with
the history on the device ("latent": beside an imitated one that is what is left to the host); and
the session with look-ahead, as files have it. A round's cost is
its time less the bare one's of the same round; the figures are medians over the rounds, with the
95th percentile. Time on the clock is what a viewer waits; time of all the process's threads on the
processor also holds what another core did meanwhile. Prints a table; the last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import commit, machine, versions
from material import CLIP
from numpy.typing import NDArray

from models import Blend, Style, load_engine
from stream import Frame, Session, Source, Stylizer, VideoInfo, open_sink, open_source
from stream.geometry import resize

STABILITY = 0.5
GOAL_MS = 1.0
"""The most that channels, statistics and bookkeeping may cost a frame."""

Data = NDArray[np.uint8]
Run = Callable[[], None]


class FreeEngine:
    """An engine that takes no time: the picture is the frame."""

    name = "free"
    default_style = Style()
    native_size = 256
    size_multiple = 16
    cell_sizes = (8,)
    carries_noise = False
    device = "cpu"
    output_scale = 1
    revision = 0
    loras = None

    def __init__(self) -> None:
        self.notes: list[str] = []

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        return 4, size[1] // 8, size[0] // 8

    def encode_prompt(self, style: Style) -> None:
        return None

    def schedule(self, style: Style) -> SimpleNamespace:
        return SimpleNamespace(strength=style.strength)

    def noise(self, style: Style, size: tuple[int, int]) -> None:
        return None

    def features(self, *_: object) -> None:
        return None

    def paint(self, data: Data, *_: object, **__: object) -> Data:
        return data

    def begin(self, data: Data, *_: object, **__: object) -> Callable[[], Data]:
        return lambda: data

    def in_flight(self, ahead: bool = False) -> int:
        return 0

    to_image = encode = denoise = picture = paint


class DeviceEngine(FreeEngine):
    """An engine on a device of its own: the picture is the frame, and the host is free meanwhile.

    The device paints one frame after the other; two may be on their way.

    Args:
        frame_s: What it takes for a frame.
    """

    name = "device"

    def __init__(self, frame_s: float) -> None:
        super().__init__()
        self._frame_s = frame_s
        self._idle_at_s = 0.0

    def paint(self, data: Data, *_: object) -> Data:
        return self.begin(data)()

    def begin(self, data: Data, *_: object, **__: object) -> Callable[[], Data]:
        ready_at_s = max(time.perf_counter(), self._idle_at_s) + self._frame_s
        self._idle_at_s = ready_at_s

        def wait() -> Data:
            time.sleep(max(0.0, ready_at_s - time.perf_counter()))
            return data

        return wait

    def in_flight(self, ahead: bool = False) -> int:
        return 1


class MemorySource(Source):
    """Frames that are there already."""

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = iter(frames)
        self.notes = []
        self.info = VideoInfo(frames[0].size, frames[0].time_base, rate=Fraction(24))

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        """Nothing to let go."""


def main() -> None:
    args = parse_arguments()
    engine = load_engine(args.model, device=args.device)
    side = args.size or engine.native_size
    rounds = 4 if args.quick else 15
    devices = {
        f"device, {ms:g} ms": measure(DeviceEngine(ms / 1e3), load_frames(side, 48), rounds)
        for ms in args.device_ms
    }
    result: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "size": (side, side),
        "rounds": rounds,
        "engines": {
            "free": measure(FreeEngine(), load_frames(side, 96), rounds),
            **devices,
            engine.name: measure(engine, load_frames(side, 12), rounds),
        },
    }
    result["goal_ms"] = GOAL_MS
    show(result)
    print(json.dumps(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Cost of the streaming layer a frame.")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--size", type=int, help="side in px; the model's own if not given")
    parser.add_argument("--model", default="bundled", help="bundled, or a local diffusers folder")
    parser.add_argument(
        "--device-ms", nargs="*", type=float, default=[4, 8], help="a frame on a device of its own"
    )
    parser.add_argument("--device", help="cpu, cuda, mps; the best there is if not given")
    return parser.parse_args()


def load_frames(side: int, count: int) -> list[Frame]:
    """The shipped clip's first frames, square."""
    with open_source(CLIP) as source:
        return [frame.replace(resize(frame.data, (side, side))) for frame in islice(source, count)]


def measure(engine: Any, frames: list[Frame], rounds: int) -> dict[str, Any]:
    """Milliseconds a frame of each way beside the bare engine, on the clock and on the processor.

    Args:
        engine: The free one or a real one.
        frames: Painted in every round by every way.
        rounds: How many; one more warms up.
    """
    ways = make_ways(engine, frames)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(1 + rounds):
        for name, run in ways.items():
            spent[name].append(timed_ms(run, len(frames)))
    bare, *others = (np.array(times[1:]) for times in spent.values())
    first, *names = ways
    found = {first: {"p50_ms": float(np.median(bare[:, 0]))}}
    for name, times in zip(names, others, strict=True):
        clock, processor = (times - bare).T
        found[name] = {
            "p50_ms": float(np.median(times[:, 0])),
            "cost_ms": float(np.median(clock)),
            "cost_p95_ms": float(np.percentile(clock, 95)),
            "processor_cost_ms": float(np.median(processor)),
        }
    return found


def make_ways(engine: Any, frames: list[Frame]) -> dict[str, Run]:
    """The bare engine first."""
    style = engine.default_style
    noise, conditioning = engine.noise(style, frames[0].size), engine.encode_prompt(style)
    schedule = engine.schedule(style)

    def bare() -> None:
        for frame in frames:
            engine.paint(frame.data, noise, conditioning, schedule)

    def by_stylizer(stability: float, blend: Blend = "picture") -> Run:
        stylizer = make_stylizer(engine, frames, stability, blend=blend)

        def run() -> None:
            for frame in frames:
                stylizer.process(frame)
            stylizer.process(None)

        return run

    def by_session(stability: float, *, look_ahead: bool = False) -> Run:
        # its style's tensors outlive a session
        stylizer = make_stylizer(engine, frames, stability, look_ahead=look_ahead)

        def run() -> None:
            source = MemorySource(frames)
            Session(source, stylizer, open_sink("null", info=source.info)).run()

        return run

    return {
        "bare engine": bare,
        "stylizer": by_stylizer(0),
        "session": by_session(0),
        "stylizer, stable": by_stylizer(STABILITY),
        "stylizer, latent": by_stylizer(STABILITY, "latent"),
        "session, stable": by_session(STABILITY),
        "session, look-ahead": by_session(STABILITY, look_ahead=True),
    }


def make_stylizer(
    engine: Any,
    frames: list[Frame],
    stability: float,
    *,
    look_ahead: bool = False,
    blend: Blend = "picture",
) -> Stylizer:
    return Stylizer(
        engine,
        short_side_px=min(frames[0].size),
        output_size="model",
        stability=stability,
        look_ahead=look_ahead,
        blend=blend,
        overlap=engine.in_flight() > 0,
    )


def timed_ms(run: Run, count: int) -> tuple[float, float]:
    """Milliseconds a frame, on the clock and of the process on all cores."""
    start_s, processor_s = time.perf_counter(), time.process_time()
    run()
    clock_s = time.perf_counter() - start_s
    return clock_s * 1e3 / count, (time.process_time() - processor_s) * 1e3 / count


def show(result: dict[str, Any]) -> None:
    print("{}x{}, ms a frame".format(*result["size"]))
    for engine, ways in result["engines"].items():
        print(f"\n{engine:<24}{'p50':>10}{'cost':>10}{'p95':>10}{'processor':>12}")
        for name, row in ways.items():
            keys = ("p50_ms", "cost_ms", "cost_p95_ms", "processor_cost_ms")
            cells = [f"{row[key]:.2f}" if key in row else "-" for key in keys]
            print(f"{name:<24}{cells[0]:>10}{cells[1]:>10}{cells[2]:>10}{cells[3]:>12}")
    cost_ms = result["engines"]["free"]["session"]["cost_ms"]
    met = "met" if cost_ms <= GOAL_MS else "missed"
    print(f"\nchannels, statistics and bookkeeping: {cost_ms:.2f} ms, goal {GOAL_MS:g} ms: {met}")


if __name__ == "__main__":
    main()
