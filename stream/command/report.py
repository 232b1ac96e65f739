"""The final report: a table for people, one JSON object for programs. Prints through rich, to the
console that it is given; computes nothing but what it shows.
"""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from stream.offline.jobs import Outcome
from stream.stats import Stats

PERCENTILES = ("p50", "p95", "p99")
INDENT = 2


def print_report(console: Console, outcome: Outcome) -> None:
    """Show one outcome: where it went, frames, speed, time of each stage, notes."""
    stats = outcome.stats
    console.print(headline(outcome), soft_wrap=True, markup=False, highlight=False)
    console.print(Padding(_facts(stats), (0, 0, 0, INDENT)))
    if stats.stages:
        console.print(Padding(_stages(stats), (0, 0, 0, INDENT)))
    for note in stats.notes:
        line = f"{' ' * INDENT}note: {note}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def print_live_report(console: Console, source: str, outputs: list[str], stats: Stats) -> None:
    """Show what a live session was: frames, rate, age at each output, stages, events, notes."""
    where = ", ".join(outputs)
    console.print(f"{source} -> {where}", soft_wrap=True, markup=False, highlight=False)
    console.print(Padding(_live_facts(stats), (0, 0, 0, INDENT)))
    if stats.stages:
        console.print(Padding(_stages(stats), (0, 0, 0, INDENT)))
    for note in stats.notes:
        line = f"{' ' * INDENT}note: {note}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def live_as_dict(source: str, outputs: list[str], stats: Stats) -> dict[str, object]:
    """A live session as plain values for JSON."""
    return {"input": source, "outputs": outputs, **stats.as_dict()}


def _live_facts(stats: Stats) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("frames", f"{stats.frames_in} in, {stats.frames_out} out, {_dropped(stats)}")
    table.add_row("rate", f"{stats.output_fps:.1f} fps (target {stats.fps_target or 0:g})")
    if stats.effort:
        table.add_row("effort", stats.effort)
    for name, shown in stats.sinks.items():
        age_ms, dropped = shown["age_ms"], shown["dropped"]
        assert isinstance(age_ms, dict) and isinstance(dropped, dict)
        ages = ", ".join(f"{age_ms[name]:.0f}" for name in PERCENTILES)
        missed = "".join(f", {count} {cause}" for cause, count in dropped.items())
        table.add_row(name, f"{shown['frames']} frames{missed}; age {ages} ms (p50, p95, p99)")
    _add_events(table, stats)
    return table


def headline(outcome: Outcome) -> str:
    """One sentence: what was written where, and how far it got if that is not the end."""
    done = outcome.stats.frames_out
    if not outcome.interrupted:
        return f"{outcome.job.source} -> {outcome.job.sink}"
    of = f" of {outcome.frames_expected}" if outcome.frames_expected else ""
    kept = f"; {outcome.job.sink} holds what was done" if done else "; nothing was written"
    return f"{outcome.job.source}: stopped after {done}{of} frames{kept}"


def _facts(stats: Stats) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("frames", f"{stats.frames_in} in, {stats.frames_out} out, {_dropped(stats)}")
    table.add_row("speed", f"{stats.fps:.1f} fps{_verdict(stats)}")
    latency = ", ".join(f"{stats.latency_ms[name]:.1f}" for name in PERCENTILES)
    table.add_row("latency", f"{latency} ms (p50, p95, p99)")
    _add_events(table, stats)
    return table


def _add_events(table: Table, stats: Stats) -> None:
    if stats.events:
        table.add_row("events", ", ".join(f"{name}: {n}" for name, n in stats.events.items()))


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


def as_json(outcomes: Sequence[Outcome]) -> str:
    """One JSON object for one input; a list of them, in order, for several."""
    rows = [
        {
            "input": outcome.job.source,
            "output": outcome.job.sink,
            "interrupted": outcome.interrupted,
            "damaged": outcome.damaged,
            **outcome.stats.as_dict(),
        }
        for outcome in outcomes
    ]
    return json.dumps(rows[0] if len(rows) == 1 else rows, indent=2) + "\n"
