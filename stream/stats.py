"""Stats: what a session counted and timed. Thread-safe, cheap to feed, read at any time.

The capture thread counts frames in, the stylizer records its stages, the writer counts frames
out; the command line and the benchmarks read. Prints nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stream.clock import Clock
from stream.times import Summary, Times, percentiles_ms

ABSORBED = 256
"""Times of a stage that are taken over from another process at once."""

RECENT_S = 2.0
"""What counts as now, for a figure that is watched while it changes."""


STILL = "still"
"""The event of a frame that shows the picture before it again, unpainted."""

REPEATED = "repeated"
"""The event of a frame that was shown again because the source gave none."""


@dataclass(slots=True)
class SinkStats:
    """What one of several sinks took: frames, their latency, and what it was not given."""

    frames: int = 0
    latency: Times = field(default_factory=Times)
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkSummary:
    """A copy of `SinkStats` to read at leisure."""

    frames: int
    latency: Summary
    dropped: dict[str, int]


class Stats:
    """Counters, stage times and notes of one run.

    Thread-safe.

    Args:
        fps_target: The frames a second to reach, or ``None`` where there is no target.
        clock: What times are read from.

    Attributes:
        effort: What the governor asks of the machine now, in words; "" where there is none.
        effort_level: How many rungs it has given up.
    """

    def __init__(self, *, fps_target: float | None = None, clock: Clock | None = None) -> None:
        self.fps_target = fps_target
        self.effort = ""
        self.effort_level = 0
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._frames_in = 0
        self._frames_out = 0
        self._dropped: dict[str, int] = {}
        self._events: dict[str, int] = {}
        self._stages: dict[str, Times] = {}
        self._latency = Times()
        self._notes: dict[str, None] = {}  # a set that keeps its order
        self._sinks: dict[str, SinkStats] = {}
        self._out_s = Times()
        self._painted = 0
        self._painted_s = Times()
        self._first_out_s: float | None = None
        self._first_in_s: float | None = None
        self._last_out_s: float | None = None

    # What is counted

    def count_in(self, captured_at_s: float) -> None:
        """One frame was read at `captured_at_s` (clock seconds) and taken in."""
        with self._lock:
            self._frames_in += 1
            if self._first_in_s is None:
                self._first_in_s = captured_at_s

    def count_out(self, captured_at_s: float, now_s: float) -> None:
        """One frame, read at `captured_at_s`, was handed to the sink at `now_s`."""
        with self._lock:
            self._frames_out += 1
            self._last_out_s = now_s
            if self._first_out_s is None:
                self._first_out_s = now_s
            self._out_s.add(now_s)
            self._latency.add(now_s - captured_at_s)

    def count_painted(self, now_s: float) -> None:
        """The model has painted a picture; others are carried along, repeated or kept."""
        with self._lock:
            self._painted += 1
            self._painted_s.add(now_s)

    def count_shown(self, sink: str, captured_at_s: float, now_s: float) -> None:
        """One of several sinks took a frame, read at `captured_at_s`, at `now_s`."""
        with self._lock:
            shown = self._sinks.setdefault(sink, SinkStats())
            shown.frames += 1
            shown.latency.add(now_s - captured_at_s)

    def count_missed(self, sink: str, cause: str, count: int = 1) -> None:
        """One of several sinks was not given `count` frames, because of `cause`."""
        with self._lock:
            shown = self._sinks.setdefault(sink, SinkStats())
            if count:
                shown.dropped[cause] = shown.dropped.get(cause, 0) + count

    def count_dropped(self, cause: str, count: int = 1) -> None:
        """`count` frames were read and will not be seen, because of `cause`."""
        if count:
            with self._lock:
                self._dropped[cause] = self._dropped.get(cause, 0) + count

    def count_unseen(self, cause: str, in_flight: int = 0) -> None:
        """Whatever was read, was neither handed over nor dropped, and is no longer on its way was
        dropped because of `cause`.
        """
        with self._lock:
            done = self._frames_out + sum(self._dropped.values()) + in_flight
            if self._frames_in > done:
                self._dropped[cause] = self._dropped.get(cause, 0) + self._frames_in - done

    def count_event(self, name: str) -> None:
        """Something worth a number happened once more (a cut, a style change)."""
        with self._lock:
            self._events[name] = self._events.get(name, 0) + 1

    def count_of(self, name: str) -> int:
        """How often something happened until now."""
        with self._lock:
            return self._events.get(name, 0)

    def record(self, stage: str, duration_s: float) -> None:
        """`stage` took `duration_s` seconds for one frame."""
        with self._lock:
            self._stages.setdefault(stage, Times()).add(duration_s)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record how long the block takes, unless it raises.

        On a GPU this is the time to queue the work, but for the stage that downloads: nothing
        here waits for the device.
        """
        start_s = self._clock.now_s()
        yield
        self.record(name, self._clock.now_s() - start_s)

    def note(self, *sentences: str) -> None:
        """Keep sentences that the user should read at the end; each is kept once."""
        with self._lock:
            self._notes.update(dict.fromkeys(sentences))

    # What is read

    @property
    def frames_in(self) -> int:
        return self._frames_in

    @property
    def frames_out(self) -> int:
        return self._frames_out

    @property
    def dropped(self) -> int:
        """Frames that were read and not shown, for whatever cause."""
        with self._lock:
            return sum(self._dropped.values())

    @property
    def dropped_by_cause(self) -> dict[str, int]:
        with self._lock:
            return dict(self._dropped)

    @property
    def events(self) -> dict[str, int]:
        with self._lock:
            return dict(self._events)

    @property
    def notes(self) -> list[str]:
        with self._lock:
            return list(self._notes)

    @property
    def duration_s(self) -> float:
        """From the first frame read to the last one handed over, in seconds."""
        with self._lock:
            if self._first_in_s is None or self._last_out_s is None:
                return 0.0
            return max(0.0, self._last_out_s - self._first_in_s)

    @property
    def fps(self) -> float:
        """Frames handed over per second of `duration_s`; 0.0 before there are any."""
        duration_s = self.duration_s
        return self._frames_out / duration_s if duration_s > 0 else 0.0

    @property
    def output_fps(self) -> float:
        """Frames a second between the first and the last one handed over: no start-up in it."""
        with self._lock:
            if self._first_out_s is None or self._last_out_s is None:
                return 0.0
            span_s = self._last_out_s - self._first_out_s
            return (self._frames_out - 1) / span_s if span_s > 0 else 0.0

    @property
    def frames_painted(self) -> int:
        """Pictures that the model has painted, of a live session."""
        return self._painted

    @property
    def painted_fps(self) -> float:
        """The same a second, while there was output."""
        with self._lock:
            if self._first_out_s is None or self._last_out_s is None:
                return 0.0
            span_s = self._last_out_s - self._first_out_s
            return max(0, self._painted - 1) / span_s if span_s > 0 else 0.0

    def recent_painted_fps(self, window_s: float = RECENT_S) -> float:
        """Pictures painted per second in the last `window_s` seconds."""
        since_s = self._clock.now_s() - window_s
        with self._lock:
            painted_s = self._painted_s.newest_s()
        return int((painted_s > since_s).sum()) / window_s

    def recent_fps(self, window_s: float = RECENT_S) -> float:
        """Frames handed over per second in the last `window_s` seconds."""
        since_s = self._clock.now_s() - window_s
        with self._lock:
            out_s = self._out_s.newest_s()
        return int((out_s > since_s).sum()) / window_s

    @property
    def sinks(self) -> dict[str, dict[str, object]]:
        """Of each of several sinks: frames taken, drops by cause, p50, p95, p99 of latency."""
        with self._lock:
            sinks = {
                name: (shown.frames, dict(shown.dropped), shown.latency.newest_s())
                for name, shown in self._sinks.items()
            }
        return {
            name: {"frames": frames, "dropped": dropped, "latency_ms": percentiles_ms(latency_s)}
            for name, (frames, dropped, latency_s) in sinks.items()
        }

    @property
    def missed_by_sink(self) -> dict[str, dict[str, int]]:
        """What each of several sinks was not given, by cause."""
        with self._lock:
            return {name: dict(shown.dropped) for name, shown in self._sinks.items()}

    @property
    def latency_ms(self) -> dict[str, float]:
        """p50, p95, p99 of the time from a frame's capture to its hand-over, in ms."""
        with self._lock:
            latency_s = self._latency.newest_s()
        return percentiles_ms(latency_s)

    def newest_latency_s(self) -> tuple[float, ...]:
        """The newest times from a frame's capture to its hand-over, in order, in seconds."""
        with self._lock:
            return tuple(self._latency.newest_s())

    @property
    def stages(self) -> dict[str, dict[str, float]]:
        """p50, p95, p99 of every stage's time, in ms, in the order they first ran."""
        with self._lock:
            stages_s = {name: times.newest_s() for name, times in self._stages.items()}
        return {name: percentiles_ms(times_s) for name, times_s in stages_s.items()}

    @property
    def reused(self) -> int:
        """Frames that showed the picture before them again."""
        return self.events.get(STILL, 0)

    @property
    def latency_summary(self) -> Summary:
        """Of the time from a frame's capture to its hand-over."""
        with self._lock:
            latency = self._latency.copy()
        return latency.summary()

    @property
    def stage_summaries(self) -> dict[str, Summary]:
        """Of every stage's time, in the order they first ran."""
        with self._lock:
            stages = {name: times.copy() for name, times in self._stages.items()}
        return {name: times.summary() for name, times in stages.items()}

    @property
    def sink_summaries(self) -> dict[str, SinkSummary]:
        """Of each of several sinks."""
        with self._lock:
            sinks = {
                name: (shown.frames, shown.latency.copy(), dict(shown.dropped))
                for name, shown in self._sinks.items()
            }
        return {
            name: SinkSummary(frames, latency.summary(), dropped)
            for name, (frames, latency, dropped) in sinks.items()
        }

    def as_dict(self) -> dict[str, object]:
        """Everything as plain values for JSON; `sinks` and the like are a live session's."""
        live = {
            "output_fps": self.output_fps,
            "painted_fps": self.painted_fps,
            "frames_painted": self.frames_painted,
            "repeated": self.events.get(REPEATED, 0),
            "effort": self.effort,
            "sinks": self.sinks,
        }
        return {
            **(live if live["sinks"] else {}),
            "fps": self.fps,
            "fps_target": self.fps_target,
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "reused": self.reused,
            "dropped": self.dropped,
            "dropped_by_cause": self.dropped_by_cause,
            "duration_s": self.duration_s,
            "latency_ms": self.latency_ms,
            "stages": self.stages,
            "events": self.events,
            "notes": self.notes,
        }

    def state(self) -> dict[str, Any]:
        """What another process's `Stats` can absorb: counters, events, the newest stage times."""
        with self._lock:
            stages = {name: times.newest_s()[-ABSORBED:] for name, times in self._stages.items()}
            counts = self._frames_in, self._frames_out
            return {
                "counts": counts,
                "events": dict(self._events),
                "stages": {name: times.tolist() for name, times in stages.items()},
            }

    def absorb(self, state: dict[str, Any], began_s: float, now_s: float) -> None:
        """Add what another process counted between these two moments of this one's clock."""
        with self._lock:
            self._frames_in += state["counts"][0]
            self._frames_out += state["counts"][1]
            for name, count in state["events"].items():
                self._events[name] = self._events.get(name, 0) + count
            for name, times in state["stages"].items():
                for time_s in times:
                    self._stages.setdefault(name, Times()).add(time_s)
            first_s = began_s if self._first_in_s is None else min(self._first_in_s, began_s)
            self._first_in_s, self._last_out_s = first_s, now_s

    def __repr__(self) -> str:
        return f"<Stats {self.frames_in} in, {self.frames_out} out, {self.fps:.1f} fps>"
