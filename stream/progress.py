"""FrameProgress: the line that moves while frames are made. Drawn on the error channel, and only
where that is a terminal; it starts no thread, every redraw is a call of `advance`.
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

REDRAW_INTERVAL_S = 0.1
SPEED_WINDOW_S = 10.0
"""The speed shown, and with it the time left, is the average over this long."""


class FrameProgress:
    """Frames done, frames a second and time left of one input. A context manager.

    Args:
        console: Where to draw; nothing is drawn where it is no terminal.
        label: What the line is about, such as the input's name.
        total: Frames to come, ``None`` where nobody knows.
        quiet: Draw nothing at all.
    """

    def __init__(self, console: Console, label: str, total: int | None, *, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            speed_estimate_period=SPEED_WINDOW_S,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=total)
        self._redrawn_at_s = float("-inf")

    def advance(self) -> None:
        """One more frame is done. May be called from any thread."""
        self._progress.advance(self._task)
        now_s = self._progress.get_time()
        if now_s - self._redrawn_at_s >= REDRAW_INTERVAL_S:
            self._redrawn_at_s = now_s
            self._progress.refresh()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.refresh()
        self._progress.stop()


class SpeedColumn(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- fps" if speed is None else f"{speed:.1f} fps")
