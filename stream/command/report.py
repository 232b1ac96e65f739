"""The final report: one line for a person, a table of figures with ``--stats``, JSON for programs.

    painted.mp4: 100 frames in 4.1 s, 24.1 fps, sound kept

Below it stand the notes about what was lost, ignored or assumed. What is only of interest to
somebody who measures comes with ``--stats``. Prints through rich, to the console that it is given;
computes nothing but what it shows.
"""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from models import Detail
from stream.command.messages import in_options
from stream.media.notes import copied_kinds
from stream.offline.jobs import Job, Outcome
from stream.sinks.base import NULL
from stream.stats import REPEATED, STILL, Stats

PERCENTILES = ("p50", "p95", "p99")
INDENT = 2


def print_report(console: Console, outcome: Outcome, *, full: bool = False) -> None:
    """Say what became of one input.

    Args:
        full: Show frames, speed, latency, the time of each stage and all notes as well.
    """
    stats = outcome.stats
    _print_line(console, headline(outcome))
    if full:
        _print_tables(console, _facts(stats), stats)
    _print_notes(console, stats, full=full)


def print_live_report(
    console: Console, source: str, outputs: list[str], stats: Stats, *, full: bool = False
) -> None:
    """Say what a live session was.

    Args:
        full: Show frames, rate, latency at each output, stages, events and all notes as well.
    """
    _print_line(console, live_headline(source, outputs, stats))
    if full:
        _print_tables(console, _live_facts(stats), stats)
    _print_notes(console, stats, full=full)


def headline(outcome: Outcome) -> str:
    """One sentence: what was written, how fast, and how far it got if that is not the end."""
    stats, job = outcome.stats, outcome.job
    done = outcome.frames_done
    if outcome.interrupted:
        of = f" of {outcome.frames_expected}" if outcome.frames_expected else ""
        kept = f"; {job.sink} holds what was done" if done else "; nothing was written"
        return f"{job.source}: stopped after {done}{of} frames{kept}"
    speed = f"{stats.fps:.1f} fps{_verdict(stats)}"
    parts = [f"{_frames(done)} in {stats.duration_s:.1f} s", speed]
    parts += [_dropped(stats)] if stats.dropped else []
    kinds = copied_kinds(stats.notes)
    parts += [f"{' and '.join(kinds)} kept"] if kinds else []
    return f"{job.source if job.sink == NULL else job.sink}: {', '.join(parts)}"


def live_headline(source: str, outputs: list[str], stats: Stats) -> str:
    """One sentence: what was shown where, at which rate, and how long after it was captured."""
    latency = f"latency {stats.latency_ms['p50']:.0f} ms (p95 {stats.latency_ms['p95']:.0f})"
    speed = f"{stats.output_fps:.1f} fps, {stats.painted_fps:.1f} painted"
    parts = [_frames(stats.frames_out), speed, latency]
    return f"{source} -> {', '.join(outputs)}: {', '.join(parts)}"


def status(stats: Stats) -> str:
    """How a live session goes just now, in one line."""
    parts = [
        f"{stats.recent_fps():.0f} fps, {stats.recent_painted_fps():.0f} painted",
        f"{stats.latency_ms['p50']:.0f} ms old",
        *([stats.effort] if stats.effort else []),
        *([f"{count} repeated"] if (count := stats.count_of(REPEATED)) else []),
    ]
    for name, sink in stats.sinks.items():
        dropped = sink["dropped"]
        assert isinstance(dropped, dict)
        missed = f", {sum(dropped.values())} missed" if dropped else ""
        parts.append(f"{name} {sink['frames']}{missed}")
    return "; ".join(parts)


def live_as_dict(source: str, outputs: list[str], stats: Stats) -> dict[str, object]:
    """A live session as plain values for JSON."""
    return {"input": source, "outputs": outputs, **stats.as_dict()}


def as_json(outcomes: Sequence[Outcome], failures: Sequence[tuple[Job, str]] = ()) -> str:
    """One JSON object for one input; a list of them for several, those that failed at its end.

    Args:
        failures: Inputs of which nothing came, each with the sentence that says why.
    """
    rows: list[dict[str, object]] = [
        {
            "input": outcome.job.source,
            "output": outcome.job.sink,
            "interrupted": outcome.interrupted,
            "damaged": outcome.damaged,
            **_of_film(outcome),
            **outcome.stats.as_dict(),
        }
        for outcome in outcomes
    ]
    rows += [{"input": job.source, "output": job.sink, "error": why} for job, why in failures]
    return json.dumps(rows[0] if len(rows) == 1 else rows, indent=2) + "\n"


def _of_film(outcome: Outcome) -> dict[str, object]:
    """What there is to tell of a film that was painted in parts."""
    if outcome.result is None:
        return {}
    kept = outcome.result.kept_frames
    return {"frames": outcome.result.frames, "frames_kept": kept, "recipe": outcome.recipe}


def _print_line(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def _print_tables(console: Console, facts: Table, stats: Stats) -> None:
    if stats.events:
        facts.add_row("events", ", ".join(f"{name}: {n}" for name, n in stats.events.items()))
    console.print(Padding(facts, (0, 0, 0, INDENT)))
    if stats.stages:
        console.print(Padding(_stages(stats), (0, 0, 0, INDENT)))


def _print_notes(console: Console, stats: Stats, *, full: bool) -> None:
    for note in stats.notes:
        if full or not (isinstance(note, Detail) or copied_kinds([note])):
            _print_line(console, f"{' ' * INDENT}note: {in_options(note)}")


def _facts(stats: Stats) -> Table:
    table = _table(stats)
    table.add_row("speed", f"{stats.fps:.1f} fps{_verdict(stats)}")
    latency = ", ".join(f"{stats.latency_ms[name]:.1f}" for name in PERCENTILES)
    table.add_row("latency", f"{latency} ms (p50, p95, p99)")
    return table


def _live_facts(stats: Stats) -> Table:
    table = _table(stats)
    table.add_row("rate", f"{stats.output_fps:.1f} fps (target {stats.fps_target or 0:g})")
    others = [f"{stats.frames_painted} painted, {stats.painted_fps:.1f} a second"]
    others += [f"{count} {name}" for name in (REPEATED, STILL) if (count := stats.count_of(name))]
    table.add_row("of these", "; ".join(others))
    if stats.effort:
        table.add_row("effort", stats.effort)
    for name, shown in stats.sinks.items():
        latency_ms, dropped = shown["latency_ms"], shown["dropped"]
        assert isinstance(latency_ms, dict) and isinstance(dropped, dict)
        latency = ", ".join(f"{latency_ms[name]:.0f}" for name in PERCENTILES)
        missed = "".join(f", {count} {cause}" for cause, count in dropped.items())
        frames = _frames(int(str(shown["frames"])))
        table.add_row(name, f"{frames}{missed}; latency {latency} ms (p50, p95, p99)")
    return table


def _table(stats: Stats) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("frames", f"{stats.frames_in} in, {stats.frames_out} out, {_dropped(stats)}")
    return table


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _dropped(stats: Stats) -> str:
    causes = ", ".join(f"{count} {cause}" for cause, count in stats.dropped_by_cause.items())
    return f"{stats.dropped} dropped" + (f" ({causes})" if causes else "")


def _verdict(stats: Stats) -> str:
    if stats.fps_target is None:
        return ""
    reached = "reached" if stats.fps >= stats.fps_target else "not reached"
    return f" (target {stats.fps_target:g}: {reached})"


def _stages(stats: Stats) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("stage, ms")
    for name in PERCENTILES:
        table.add_column(name, justify="right")
    for stage, times in stats.stages.items():
        table.add_row(stage, *(f"{times[name]:.1f}" for name in PERCENTILES))
    return table
