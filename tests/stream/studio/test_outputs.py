"""What a page is told of where its paintings go besides."""

import socket
from pathlib import Path

from studios import FakePage, RunningStudio, running_studio


def test_a_stream_that_reaches_nobody_says_so(tmp_path: Path) -> None:
    with running_studio(tmp_path) as studio:
        start_and_stop_a_stream(studio)


def start_and_stop_a_stream(studio: RunningStudio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = FakePage(studio.port).hello()
        page.until("welcome")
        address = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/a-secret"
        page.say(output="stream", on=True, address=address)
        assert page.until("output") == "stream"
        while not (stats := page.until("stats"))["waits"]:
            assert "stream" in stats["outputs"] or not stats["outputs"]
        assert "has not answered yet" in stats["waits"]["stream"]
        assert "a-secret" not in stats["waits"]["stream"]
        page.say(output="stream", on=False)
        while page.until("stats")["outputs"]:
            pass
        page.close()
