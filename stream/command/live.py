"""The command `allaprima live` around its runner: signals, progress in words, report, exit code."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from stream.addresses import shown
from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.command.messages import failed, in_options, say, tell_programs
from stream.command.progress import DownloadProgress
from stream.command.report import live_as_dict, print_live_report
from stream.command.signals import stop_signals
from stream.errors import SinkError
from stream.live.options import LiveOptions
from stream.live.runner import LiveRunner
from stream.stylizer.options import STDOUT, option_errors


class LiveRun:
    """One call of `allaprima live`."""

    def __init__(self, asked: LiveOptions) -> None:
        self._asked = asked
        self._console = Console(stderr=True)
        self._downloads = DownloadProgress(self._console, quiet=asked.quiet)
        self._runner = LiveRunner(
            asked,
            on_load=self._say_loading,
            on_download=self._downloads,
            on_ready=self._say_ready,
            on_trouble=say,
        )

    def code(self) -> ExitCode:
        """Run to the end; how it ended."""
        with self._telling():
            return self._code()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What goes wrong on the way is said when it does, also without --debug."""
        ours = logging.getLogger("stream")
        handler = _Teller(self._tell, logging.ERROR if self._asked.quiet else logging.WARNING)
        if not ours.isEnabledFor(logging.DEBUG):
            ours.addHandler(handler)
        try:
            yield
        finally:
            ours.removeHandler(handler)

    def _tell(self, sentence: str) -> None:
        self._console.print(in_options(sentence), markup=False, highlight=False, soft_wrap=True)

    def _code(self) -> ExitCode:
        try:
            with option_errors():
                self._asked.check()
            with stop_signals(self._runner.stop), self._downloads:
                self._runner.run()
            code = self._verdict()
        except KeyboardInterrupt:
            say("Stopped at once.")
            code = ExitCode.INTERRUPTED
        except tuple(EXIT_CODES) as err:
            code = failed(err)
        if self._runner.stats.frames_out:
            try:
                self._report()
            except SinkError as err:
                code = failed(err)
        return code

    def _verdict(self) -> ExitCode:
        if self._runner.failed_outputs:
            return ExitCode.OUTPUT
        return ExitCode.INTERRUPTED if self._runner.stopped else ExitCode.DONE

    def _report(self) -> None:
        asked, stats = self._asked, self._runner.stats
        source, outputs = shown(asked.source), [shown(spec) for spec in asked.outputs]
        if asked.json is not None:
            told = live_as_dict(source, outputs, stats)
            tell_programs(asked.json, json.dumps(told, indent=2) + "\n")
        if not asked.quiet:
            console = self._console if asked.json == STDOUT else Console()
            print_live_report(console, source, outputs, stats)

    def _say_loading(self) -> None:
        self._say_state(f"Loading {self._asked.model} ...")

    def _say_ready(self) -> None:
        self._say_state("Painting; Ctrl-C ends it, and so does q in the window.")

    def _say_state(self, sentence: str) -> None:
        if self._console.is_terminal and not self._asked.quiet:
            self._tell(sentence)


class _Teller(logging.Handler):
    """Hands warnings, or only errors, on as sentences."""

    def __init__(self, tell: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())
