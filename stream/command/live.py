"""The body of `allaprima live`: runs a LiveRunner with signals, messages, report and exit code."""

import json
import logging
from contextlib import nullcontext
from functools import partial

from stream.addresses import shown
from stream.command.exit_codes import ExitCode
from stream.command.messages import (
    first_use_said,
    guarded,
    log_said,
    plain_console,
    say,
    say_loading,
    tell_programs,
)
from stream.command.midi_learn import learn
from stream.command.progress import DownloadProgress, StatusLine
from stream.command.report import live_as_dict, print_live_report, status
from stream.command.signals import stop_signals
from stream.live.midi import ANY
from stream.live.options import WINDOW, LiveOptions
from stream.live.runner import LiveRunner
from stream.sinks.stdout import claim_stdout
from stream.stylizer.options import STDOUT, option_errors


class LiveRun:
    """One call of `allaprima live`."""

    def __init__(self, asked: LiveOptions) -> None:
        self._asked = asked
        self._console = plain_console(stderr=True)
        self._line = StatusLine(self._console, quiet=asked.quiet)
        self._downloads = DownloadProgress(self._console, quiet=asked.quiet)
        self._runner = LiveRunner(
            asked,
            on_load=partial(say_loading, self._console, asked.model, quiet=asked.quiet),
            on_download=self._downloads,
            on_ready=self._say_ready,
            on_tick=self._say_how_it_goes,
            on_trouble=say,
        )

    def code(self) -> ExitCode:
        """Run to the end; how it ended."""
        level = logging.ERROR if self._asked.quiet else logging.WARNING
        first_use = first_use_said(self._console, quiet=self._asked.quiet)
        pictures = claim_stdout() if STDOUT in self._asked.outputs else nullcontext()
        with pictures, log_said(self._console, "stream", level), first_use:
            code = guarded(self._run)
            failure = guarded(self._report) if self._runner.stats.frames_out else None
        return failure or code or ExitCode.DONE

    def _run(self) -> ExitCode:
        with option_errors():
            self._asked.check()
        if self._asked.midi_learn:
            learn(self._asked.midi or ANY)
            return ExitCode.DONE
        with stop_signals(self._runner.stop), self._downloads, self._line:
            self._runner.run()
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
            is_taken = STDOUT in (asked.json, *asked.outputs)
            console = self._console if is_taken else plain_console()
            print_live_report(console, source, outputs, stats, full=asked.stats)

    def _how_to_end(self) -> str:
        in_window = ", and so does q in the window" if WINDOW in self._asked.outputs else ""
        return f"Painting; Ctrl-C ends it{in_window}."

    def _say_how_it_goes(self) -> None:
        """Keep one line current, where there is no window that says it."""
        self._line.show(status(self._runner.stats))

    def _say_ready(self) -> None:
        if self._console.is_terminal and not self._asked.quiet:
            self._console.print(self._how_to_end())
