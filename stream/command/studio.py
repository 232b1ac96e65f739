"""The body of `allaprima studio`: runs a StudioRunner with signals, addresses and exit code."""

import os
import sys
import webbrowser
from functools import partial

from stream.command.exit_codes import ExitCode
from stream.command.messages import first_use_said, guarded, plain_console, say_loading
from stream.command.progress import DownloadProgress
from stream.command.signals import stop_signals
from stream.studio.options import StudioOptions
from stream.studio.runner import StudioRunner
from stream.studio.security import Role
from stream.stylizer.options import option_errors
from stream.workers import meanwhile

WHO = {Role.OWNER: "yours", Role.GUEST: "for guests", Role.WATCHER: "to watch (OBS)"}


class StudioRun:
    """One call of `allaprima studio`."""

    def __init__(self, asked: StudioOptions) -> None:
        self._asked = asked
        self._console = plain_console(stderr=True)
        self._downloads = DownloadProgress(self._console, quiet=asked.quiet)
        self._runner = StudioRunner(
            asked,
            on_load=partial(say_loading, self._console, asked.model, quiet=asked.quiet),
            on_ready=partial(self._tell, "Ready; Ctrl-C ends it."),
            on_open=self._say_addresses,
            on_download=self._downloads,
        )

    def code(self) -> ExitCode:
        """Serve to the end; how it ended."""
        with first_use_said(self._console, quiet=self._asked.quiet):
            code = guarded(self._run)
        kept = self._runner.folder.root / "recordings"
        if kept.is_dir() and any(kept.iterdir()):
            self._tell(f"Recordings are in {kept}.")
        return code or ExitCode.DONE

    def _run(self) -> ExitCode:
        with option_errors():
            self._asked.check()
        self._warn()
        with stop_signals(self._runner.stop), self._downloads:
            self._runner.run()
        return ExitCode.INTERRUPTED

    def _tell(self, sentence: str) -> None:
        if not self._asked.quiet:
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def _warn(self) -> None:
        """What somebody should know who lets other machines in."""
        if not self._asked.is_local and self._asked.scheme == "http":
            self._tell(
                "Without encryption browsers on other machines keep their cameras shut, and "
                "anybody on the way can read along: add --tls self or --tls-cert, or forward the "
                "port with ssh -L."
            )

    def _say_addresses(self, addresses: dict[Role, str]) -> None:
        for role, address in addresses.items():
            self._tell(f"  {address}   {WHO[role]}")
        if self._asked.opens and _has_desktop():
            meanwhile("browser", lambda: webbrowser.open(addresses[Role.OWNER]))


def _has_desktop() -> bool:
    """Whether a browser would have a window: without one it would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
