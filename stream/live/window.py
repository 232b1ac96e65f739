"""The preview window of a live session: which keys change what, and the figures of its HUD."""

from collections.abc import Callable
from functools import partial

from stream.clock import Clock
from stream.live.controls import Controls
from stream.live.words import WORDS, Key, Word
from stream.sinks.window import WindowSink
from stream.stats import Stats

ESCAPE = 27

LOADING = "The model is being loaded;  this is the picture as it comes in."


def key_line() -> str:
    """What the HUD tells of the keys, from the table of words."""
    told = {
        word.told: " ".join(key.key for key in word.keys if not key.same_as)
        for word in sorted(WORDS.values(), key=lambda word: word.name != "quit")
        if word.keys
    }
    return "   ".join(f"{keys} {what}" for what, keys in told.items())


def key_actions(controls: Controls) -> dict[int, Callable[[], None]]:
    """Key code -> what it does."""
    return {
        ESCAPE if key.key == "Esc" else ord(key.key): _action(controls, word, key)
        for word in WORDS.values()
        for key in word.keys
    }


def _action(controls: Controls, word: Word, key: Key) -> Callable[[], None]:
    if word.kind == "action":
        return partial(controls.do, word.name)
    if word.kind == "switch":
        return partial(controls.toggle, word.name)
    if word.kind == "name":
        return partial(controls.next_style, int(key.by))
    return partial(controls.nudge, word.name, key.by)


def hud_lines(controls: Controls, stats: Stats) -> list[str]:
    """The lines of the HUD; until the first painting, only that it is on its way."""
    if not stats.frames_out:
        return [LOADING, *losses(stats)]
    look = controls.look
    latency = stats.latency_ms
    paint = stats.stages.get("paint", {"p95": 0.0})
    switches = " ".join(name for name in ("bypass", "freeze", "split") if getattr(look, name))
    amounts = f"strength {look.style.strength:.2f}  stability {look.stability:.2f}"
    lines = [
        f"{controls.style_name}  {amounts}",
        f"{stats.recent_fps():.1f} fps, {stats.recent_painted_fps():.1f} painted"
        f"  latency {latency['p50']:.0f} / {latency['p95']:.0f} ms  model {paint['p95']:.0f} ms",
    ]
    if stats.effort:
        lines.append(stats.effort)
    lines += losses(stats)
    lines.append(switches.upper())
    return [line for line in lines if line]


def losses(stats: Stats) -> list[str]:
    """What was dropped on the way, by cause, and by each output that is in trouble."""
    missed = {f"missed by {name}": causes for name, causes in stats.missed_by_sink.items()}
    lost = {"frames dropped": stats.dropped_by_cause} | missed
    return [
        f"{name}: {', '.join(f'{count} ({cause})' for cause, count in causes.items())}"
        for name, causes in lost.items()
        if causes
    ]


def open_window(
    controls: Controls, stats: Stats, *, mirrored: bool = False, clock: Clock | None = None
) -> WindowSink:
    """The window whose keys change `controls` and whose HUD shows `controls` and `stats`.

    Raises:
        SinkError: There is no display, or this OpenCV has no windows.
    """
    keys = key_line()

    def lines() -> list[str]:
        return [*hud_lines(controls, stats), keys] if controls.look.hud else []

    return WindowSink(key_actions(controls), controls.quit, lines, mirrored=mirrored, clock=clock)
