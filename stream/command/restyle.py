"""The body of `allaprima restyle`: runs a Restyler with signals, progress, report and exit code."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from models import Style
from stream.command.cluster import cluster_workers
from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.command.messages import (
    failed,
    first_use_said,
    guarded,
    plain_console,
    say_loading,
    tell_losses,
    tell_programs,
)
from stream.command.progress import DownloadProgress, FrameProgress
from stream.command.signals import stop_signals
from stream.errors import SinkError, SourceError
from stream.offline.batch import is_disk_full
from stream.offline.jobs import Job, plan_jobs
from stream.offline.options import RestyleOptions
from stream.offline.remote_files import RemoteFiles
from stream.sinks.stdout import claim_stdout
from stream.stylizer.options import STDOUT, OptionError, option_errors

if TYPE_CHECKING:
    from stream.frame import Frame
    from stream.offline.jobs import Outcome
    from stream.offline.restyler import Restyler
    from stream.video_info import VideoInfo


def code(asked: RestyleOptions) -> ExitCode:
    """Restyle what was asked for, a folder of films or single inputs; how it ended."""
    from stream.offline.batch import is_batch, with_films

    try:
        asked = _with_performance(asked)
        films = is_batch(asked)
    except OptionError as err:
        return failed(err)
    if not films:
        asked, left = with_films(asked)
        for sentence in () if asked.quiet else left:
            plain_console(stderr=True).print(sentence)
        return RestyleRun(asked).code()
    from stream.command.batch import BatchRun

    return BatchRun(asked).code()


def _with_performance(asked: RestyleOptions) -> RestyleOptions:
    """With the recorded performance that was named.

    Raises:
        OptionError: It cannot be read.
    """
    if asked.automation is None:
        return asked
    from stream.live.controls import Look
    from stream.live.performed_stylizer import RecordedPerformance
    from stream.live.schedule import Performance
    from stream.live.scheduling import read_schedule
    from stream.live.words import WORDS

    with option_errors():
        changes = read_schedule(Path(asked.automation)).in_seconds()
    # a mask that is given is one to turn on and off
    words = WORDS.keys() - {"mask"}
    fixed = sorted(word for word in words if getattr(asked, word, None) is not None)
    with option_errors():
        Performance(changes, Look(asked.style(Style())), fixed).look_at(math.inf)
    return replace(asked, performance=RecordedPerformance(changes, tuple(fixed)))


class RestyleRun:
    """One call of `allaprima restyle`: its jobs, and what became of them so far."""

    def __init__(self, asked: RestyleOptions) -> None:
        self._asked = asked
        self._outcomes: list[Outcome] = []
        self._failures: list[tuple[Job, str]] = []
        self._codes: list[ExitCode] = []
        self._remote = RemoteFiles()

    def code(self) -> ExitCode:
        """Restyle everything that was asked for; how it ended."""
        with claim_stdout() if self._asked.output == STDOUT else nullcontext():
            codes = [guarded(self._restyle_all)]
        codes.append(guarded(self._write_json))
        self._codes += [code for code in codes if code is not None]
        return self._verdict()

    def _restyle_all(self) -> None:
        from stream.offline.restyler import Restyler

        with option_errors():
            self._asked.check()
            asked = self._remote.as_local(self._asked)
            jobs = plan_jobs(asked.inputs, asked.output, overwrite=asked.overwrite)
        console = plain_console(stderr=True)
        downloads = DownloadProgress(console, quiet=asked.quiet)
        on_load = partial(say_loading, console, asked.model, quiet=asked.quiet)
        restyler = Restyler(
            asked,
            watch=self._watch,
            on_load=on_load,
            on_download=downloads,
            make_workers=cluster_workers(asked),
        )
        restyler.check(jobs)
        first_use = first_use_said(console, quiet=asked.quiet)
        with stop_signals(restyler.stop), downloads, first_use, closing(restyler):
            for job in jobs:
                self._restyle(restyler, job, alone=len(jobs) == 1)
                if restyler.stopped:
                    break

    def _restyle(self, restyler: "Restyler", job: Job, *, alone: bool) -> None:
        """One job; an input that cannot be read does not keep the others from being restyled."""
        try:
            outcome = self._remote.delivered(restyler.restyle(job))
        except (SourceError, SinkError) as err:
            if alone or is_disk_full(err):
                raise
            self._failures.append((job, str(err)))
            self._codes.append(failed(err))
            return
        self._outcomes.append(outcome)
        self._codes.append(_code(outcome))
        if self._asked.quiet:
            tell_losses(outcome.job.source, outcome.losses)
        else:
            from stream.command.report import print_report

            console = plain_console(stderr=STDOUT in (self._asked.json, self._asked.output))
            print_report(console, outcome, full=self._asked.stats)

    def _verdict(self) -> ExitCode:
        """One code for all jobs: what stopped them, else whether each, none or some succeeded."""
        codes = set(self._codes)
        stopped = [code for code in (ExitCode.INTERRUPTED, *EXIT_CODES.values()) if code in codes]
        if len(codes) == 1:
            return codes.pop()
        return stopped[0] if stopped and stopped != [ExitCode.INPUT] else ExitCode.PARTIAL

    @contextmanager
    def _watch(self, job: Job, info: "VideoInfo") -> Iterator[Callable[["Frame | None"], None]]:
        console = plain_console(stderr=True)
        name = Path(job.source).name
        with FrameProgress(console, name, info.frame_count, quiet=self._asked.quiet) as progress:
            yield lambda frame: progress.advance()

    def _write_json(self) -> None:
        """The report for programs, where it was asked for and there is something to say."""
        from stream.command.report import as_json

        if self._asked.json is not None and (self._outcomes or self._failures):
            tell_programs(self._asked.json, as_json(self._outcomes, self._failures))


def _code(outcome: "Outcome") -> ExitCode:
    if outcome.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.PARTIAL if outcome.damaged else ExitCode.DONE
