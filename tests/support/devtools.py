"""A Chromium driven by DevTools messages alone, where a tab can be hidden.

Playwright tells its pages that they are visible, whatever tab is in front.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browsers import find_chromium
from fakes import LIMIT_S
from websockets.sync.client import connect

POLL_S = 0.05


class Devtools:
    """The browser's own socket, and those of its tabs."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}/json"
        self._count = 0

    def _address(self, path: str, target: str = "") -> str:
        with urllib.request.urlopen(f"{self._root}/{path}", timeout=LIMIT_S) as answer:
            found = json.load(answer)
        if target:
            found = next(one for one in found if one["id"] == target)
        return str(found["webSocketDebuggerUrl"])

    def _ask(self, address: str, method: str, **parameters: Any) -> Any:
        self._count += 1
        with connect(address, open_timeout=LIMIT_S, max_size=None) as socket:
            socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
            while True:
                answer = json.loads(socket.recv(timeout=LIMIT_S))
                if answer.get("id") == self._count:
                    return answer.get("result", {})

    def browser(self, method: str, **parameters: Any) -> Any:
        return self._ask(self._address("version"), method, **parameters)

    def open(self, url: str, **parameters: Any) -> str:
        """A tab; its id."""
        return str(self.browser("Target.createTarget", url=url, **parameters)["targetId"])

    def evaluate(self, tab: str, expression: str) -> Any:
        """What an expression is in a tab, as if somebody had clicked there."""
        address = self._address("list", tab)
        asked = {"expression": expression, "returnByValue": True, "userGesture": True}
        answer = self._ask(address, "Runtime.evaluate", **asked)
        return answer.get("result", {}).get("value")  # none from a page that is on its way

    def wait(self, tab: str, expression: str) -> None:
        """Until an expression is true in a tab."""
        end_s = time.monotonic() + LIMIT_S
        while not self.evaluate(tab, expression):
            assert time.monotonic() < end_s, expression
            time.sleep(POLL_S)


@contextmanager
def devtools(folder: Path, camera: Path) -> Iterator[Devtools]:
    """A browser without a window whose profile is in `folder`."""
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--remote-debugging-port=0",
        "--remote-allow-origins=*",
        f"--user-data-dir={folder}",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([find_chromium(), *flags, "about:blank"], **quiet) as process:
        try:
            said = folder / "DevToolsActivePort"
            end_s = time.monotonic() + LIMIT_S
            while not said.exists() or not said.read_text().strip():
                assert process.poll() is None and time.monotonic() < end_s
                time.sleep(POLL_S)
            yield Devtools(int(said.read_text().split()[0]))
        finally:
            process.terminate()
            process.wait(LIMIT_S)
