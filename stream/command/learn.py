"""The body of `allaprima learn`: runs learn_files with progress, signals and exit code."""

from models import LearnedLook, LearningProgress
from stream.command.exit_codes import ExitCode
from stream.command.messages import guarded, plain_console, say_loading
from stream.command.progress import StatusLine
from stream.command.signals import stop_signals
from stream.offline.learning import learn_files, preview_of
from stream.offline.learning_options import LearnOptions
from stream.stylizer.options import option_errors


class LearnRun:
    """One call of `allaprima learn`."""

    def __init__(self, asked: LearnOptions) -> None:
        self._asked = asked
        self._console = plain_console(stderr=True)
        self._line = StatusLine(self._console, quiet=asked.quiet)
        self._stopped = False

    def code(self) -> ExitCode:
        """Learn to the end; how it ended."""
        return guarded(self._run) or ExitCode.DONE

    def _run(self) -> ExitCode:
        with option_errors():
            self._asked.check()
        say_loading(self._console, self._asked.model, quiet=self._asked.quiet)
        with stop_signals(self._stop), self._line:
            look = learn_files(
                self._asked, on_progress=self._show, is_stopped=lambda: self._stopped
            )
        self._report(look)
        return ExitCode.INTERRUPTED if self._stopped else ExitCode.DONE

    def _stop(self) -> bool:
        """Have the learning end with the best so far; whether that was not asked before."""
        was_stopped, self._stopped = self._stopped, True
        return not was_stopped

    def _show(self, progress: LearningProgress) -> None:
        line = f"Learning: step {progress.step} of {progress.steps}, {told(progress)}"
        if self._console.is_terminal:
            self._line.show(line)
        elif progress.preview is not None:  # a log gets a line now and then
            self._say(line)

    def _report(self, look: LearnedLook) -> None:
        steps, distance = look.best
        last = look.history[-1][0]
        kept = f"; what came after step {steps} was no better" if steps < last else ""
        self._say(
            f"Learned {look.word!r} in {minutes(look.seconds)} from {look.nearest!r}: frames and "
            f"corners that were held out at {distance.mean:.2f} of the photograph's distance{kept}."
        )
        output = self._asked.output
        self._say(f"{preview_of(output)} shows it; use it with --lora {output}")

    def _say(self, sentence: str) -> None:
        if not self._asked.quiet:
            self._console.print(sentence, soft_wrap=True)


def told(progress: LearningProgress) -> str:
    """How near it is, and how long it will take."""
    near = f"{progress.distance.mean:.2f} of the photograph's distance"
    return f"{near}, {minutes(progress.left_s)} left" if progress.step else near


def minutes(seconds: float) -> str:
    """Such as "3 min 20 s"."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
