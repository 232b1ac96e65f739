"""Progress bars: FrameProgress for the frames of a job, DownloadProgress for a model,
StatusLine for a live session.

Drawn on standard error, and only where that is a terminal. They start no thread: each call redraws
the bar if it is time to.
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
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


class DownloadProgress:
    """How far a download is: one line a repository, there while it is fetched. Where nothing can be
    drawn, one sentence says what is fetched. A context manager; call it from one thread at a time.

    Args:
        console: Where to draw.
        quiet: Say nothing at all.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._line: Progress | None = None
        self._source: str | None = None
        self._redrawn_at_s = float("-inf")

    def __call__(self, source: str, done_bytes: int, total_bytes: int) -> None:
        """So much of a repository is here."""
        if self._quiet:
            return
        if source != self._source:
            self._end()
            self._begin(source, done_bytes, total_bytes)
        if self._line is None:
            return
        self._line.update(self._line.task_ids[0], completed=done_bytes)
        now_s = self._line.get_time()
        if now_s - self._redrawn_at_s >= REDRAW_INTERVAL_S or done_bytes >= total_bytes:
            self._redrawn_at_s = now_s
            self._line.refresh()
        if done_bytes >= total_bytes:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _begin(self, source: str, done_bytes: int, total_bytes: int) -> None:
        self._source = source
        if not self._console.is_terminal:
            size = f"{(total_bytes - done_bytes) / 1e6:.0f} MB"
            self._console.print(f"Fetching {source} ({size}) ...", markup=False, highlight=False)
            return
        self._line = Progress(
            TextColumn("Fetching {task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            speed_estimate_period=SPEED_WINDOW_S,
        )
        self._line.add_task(source, total=total_bytes, completed=done_bytes)
        self._line.start()

    def _end(self) -> None:
        if self._line is not None:
            self._line.stop()
            self._line = None


class StatusLine:
    """One line at the bottom that says how it goes. A context manager; drawn on terminals only."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._line = Progress(
            TextColumn("{task.description}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._is_shown = False

    def show(self, text: str) -> None:
        """Put this in the place of what was shown."""
        if not self._is_shown:
            self._is_shown = True
            self._line.add_task(text)
            self._line.start()
        self._line.update(self._line.task_ids[0], description=text, refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._line.stop()


class SpeedColumn(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- fps" if speed is None else f"{speed:.1f} fps")
