"""`allaprima restyle FOLDER -o OUT`: the films of a folder, and one table at the end."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.table import Table

from stream.clock import ReentrantEvent
from stream.command.cluster import cluster_workers
from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.command.messages import failed, plain_console, say, tell_programs
from stream.command.progress import DownloadProgress, FrameProgress
from stream.command.signals import stop_signals
from stream.offline.batch import Batch, FilmFile, find_films, left_out
from stream.offline.options import RestyleOptions
from stream.offline.watching import Watch
from stream.stylizer.options import STDOUT, option_errors

if TYPE_CHECKING:
    from stream.frame import Frame
    from stream.offline.jobs import Job
    from stream.offline.restyler import Restyler
    from stream.video_info import VideoInfo


class BatchRun:
    """One call of the command for a folder of films."""

    def __init__(self, asked: RestyleOptions) -> None:
        self._asked = asked
        self._folder = Path(asked.inputs[0])
        self._batch: Batch | None = None
        self._codes: set[ExitCode] = set()
        self._stop = ReentrantEvent()
        self._label = ""
        self._began_s = monotonic()

    def code(self) -> ExitCode:
        """Paint everything that is not done; how it ended."""
        try:
            self._run()
        except KeyboardInterrupt:
            say("Stopped at once.")
            self._codes.add(ExitCode.INTERRUPTED)
        except tuple(EXIT_CODES) as err:
            self._codes.add(failed(err))
        if self._batch is not None:
            self._report(self._batch)
        return self._verdict()

    def _run(self) -> None:
        from stream.offline.restyler import Restyler

        asked = self._asked
        with option_errors():
            asked.check()
        console = plain_console(stderr=True)
        downloads = DownloadProgress(console, quiet=asked.quiet)
        restyler = Restyler(
            asked,
            watch=self._watch,
            on_load=lambda: None,
            on_download=downloads,
            make_workers=cluster_workers(asked),
        )
        batch = Batch(
            asked,
            restyler,
            code_of=lambda err: next(c for kind, c in EXIT_CODES.items() if isinstance(err, kind)),
            on_begin=self._begin,
        )
        self._batch = batch

        def stop() -> bool:
            is_first = not self._stop.is_set()
            self._stop.set()
            return restyler.stop() or (asked.watch and is_first)

        with stop_signals(stop), downloads, closing(restyler):
            rounds = Watch(self._films).rounds(self._stop) if asked.watch else [self._films()]
            for films in rounds:
                self._paint(batch, restyler, films)

    def _films(self) -> list[FilmFile]:
        return list(find_films(self._folder, self._asked))

    def _paint(self, batch: Batch, restyler: "Restyler", films: list[FilmFile]) -> None:
        self._began_s = monotonic()
        for outcome in batch.run(films):
            if outcome.interrupted:
                self._codes.add(ExitCode.INTERRUPTED)
            elif outcome.damaged:
                self._codes.add(ExitCode.PARTIAL)
        if restyler.stopped and batch.tally.left:
            self._codes.add(ExitCode.INTERRUPTED)

    def _begin(self, film: FilmFile, index: int, count: int) -> None:
        spent_s = monotonic() - self._began_s
        left = f", {_time(spent_s / index * (count - index))} left" if index else ""
        self._label = f"[{index + 1}/{count}{left}] {film.name}"

    @contextmanager
    def _watch(self, job: "Job", info: "VideoInfo") -> Iterator[Callable[["Frame | None"], None]]:
        console, quiet = plain_console(stderr=True), self._asked.quiet
        with FrameProgress(console, self._label, info.frame_count, quiet=quiet) as progress:
            yield lambda frame: progress.advance()

    def _report(self, batch: Batch) -> None:
        if not self._asked.quiet:
            console = plain_console(stderr=self._asked.json == STDOUT)
            console.print(_table(batch))
            for sentence in left_out(self._folder):
                console.print(sentence)
        if self._asked.json is not None:
            files = {name: asdict(entry) for name, entry in batch.entries.items()}
            report = {**asdict(batch.tally), "files": files}
            try:
                tell_programs(self._asked.json, json.dumps(report, indent=2) + "\n")
            except tuple(EXIT_CODES) as err:
                self._codes.add(failed(err))

    def _verdict(self) -> ExitCode:
        for code in (ExitCode.INTERRUPTED, *EXIT_CODES.values()):
            if code in self._codes:
                return code
        if self._codes or (self._batch is not None and self._batch.tally.failed):
            return ExitCode.PARTIAL
        return ExitCode.DONE


def _table(batch: Batch) -> Table:
    tally = batch.tally
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, films in (("done", tally.done), ("skipped", tally.skipped), ("left", tally.left)):
        table.add_row(name, str(len(films)))
    table.add_row("failed", str(len(tally.failed)))
    for name, reason in tally.failed.items():
        table.add_row("", f"{name}: {reason}")
    return table


def _time(seconds: float) -> str:
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    return f"{hours}:{minutes % 60:02} h" if hours else f"{minutes} min"
