"""The preview window of a live session: which keys change what, and the figures of its HUD."""

from collections.abc import Callable

from stream.clock import Clock
from stream.live.controls import Controls
from stream.sinks.window import WindowSink
from stream.stats import Stats

ESCAPE = 27
NUDGE = 0.05

KEYS = (
    ("q", "quit"),
    ("n", "next style"),
    ("b", "bypass"),
    ("f", "freeze"),
    ("s", "split"),
    ("- +", "strength"),
    ("[ ]", "stability"),
    ("h", "hide this"),
)
"""The key line of the HUD; `key_actions` holds the bindings."""


def key_actions(controls: Controls) -> dict[int, Callable[[], None]]:
    """Key code -> what it does."""
    actions: dict[str, Callable[[], None]] = {
        "q": controls.quit,
        "n": controls.next_style,
        "p": lambda: controls.next_style(-1),
        "s": lambda: controls.toggle("split"),
        "f": lambda: controls.toggle("freeze"),
        "b": lambda: controls.toggle("bypass"),
        "h": lambda: controls.toggle("hud"),
        "+": lambda: controls.nudge_strength(NUDGE),
        "=": lambda: controls.nudge_strength(NUDGE),
        "-": lambda: controls.nudge_strength(-NUDGE),
        "]": lambda: controls.nudge_stability(NUDGE),
        "[": lambda: controls.nudge_stability(-NUDGE),
    }
    return {ESCAPE: controls.quit} | {ord(key): action for key, action in actions.items()}


def hud_lines(controls: Controls, stats: Stats) -> list[str]:
    """The lines of the HUD."""
    look = controls.look
    latency = stats.latency_ms
    paint = stats.stages.get("paint", {"p95": 0.0})
    switches = " ".join(name for name in ("bypass", "freeze", "split") if getattr(look, name))
    amounts = f"strength {look.style.strength:.2f}  stability {look.stability:.2f}"
    lines = [
        f"{controls.style_name}  {amounts}",
        f"{stats.recent_fps():.1f} fps  latency {latency['p50']:.0f} / {latency['p95']:.0f} ms"
        f"  model {paint['p95']:.0f} ms",
    ]
    if stats.effort:
        lines.append(stats.effort)
    lines += losses(stats)
    lines.append(switches.upper())
    return [line for line in lines if line]


def losses(stats: Stats) -> list[str]:
    """What was dropped on the way, by cause, and by each output that is in trouble."""
    lost = {"dropped": stats.dropped_by_cause} | stats.missed_by_sink
    return [
        f"{name}  {', '.join(f'{count} {cause}' for cause, count in causes.items())}"
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
    key_line = "   ".join(f"{key} {what}" for key, what in KEYS)

    def lines() -> list[str]:
        return [*hud_lines(controls, stats), key_line] if controls.look.hud else []

    return WindowSink(key_actions(controls), controls.quit, lines, mirrored=mirrored, clock=clock)
