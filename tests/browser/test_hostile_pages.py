"""Four hostile pages in a real Chromium, and each of the four things that they try."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Tab, chromium
from studios import running_studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ATTACK = """<!doctype html><script>
const target = "TARGET", out = {};
async function go() {
  out.socket = await new Promise((done) => {
    const socket = new WebSocket("ws://" + target + "/ws");
    socket.onopen = () => done("opened");
    socket.onclose = () => done("refused");
  });
  const how = {method: "POST", mode: "no-cors", body: "x"};
  out.post = await fetch("http://" + target + "/api/jobs?name=a.mp4", how)
    .then((answer) => answer.type + answer.status, () => "refused");
  out.read = await fetch("http://" + target + "/")
    .then((answer) => answer.ok ? answer.text() : "refused", () => "refused");
  out.image = await new Promise((done) => {
    const image = new Image();
    image.onload = () => done("loaded");
    image.onerror = () => done("refused");
    image.src = "http://" + target + "/pages/thumbs/neon.jpg";
  });
  if (parent !== window) parent.postMessage(out, "*");
  else window.result = out;
}
go();
</script>"""
NO_HELP = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
"""Chromium's own protection of this machine is switched off: the studio's must do."""

FRAME = """<!doctype html><iframe sandbox="allow-scripts" src="/attack"></iframe>
<script>onmessage = (event) => { window.result = event.data }</script>"""


class Handler(http.server.BaseHTTPRequestHandler):
    target = ""

    def do_GET(self) -> None:
        body = FRAME if self.path == "/frame" else ATTACK.replace("TARGET", self.target)
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A studio's port and that of somebody else's server on this machine."""
    with running_studio(tmp_path) as studio:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Handler.target = f"127.0.0.1:{studio.port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield studio.port, server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.mark.parametrize("page", ["other site", "other port", "sandboxed frame", "rebound name"])
def test_a_hostile_page_gets_nothing(hostile: tuple[int, int], page: str) -> None:
    port, other = hostile
    with chromium(None, NO_HELP, "--host-resolver-rules=MAP evil.test 127.0.0.1") as browser:
        tab = Tab(browser)
        addresses = {
            "other site": f"http://evil.test:{other}/attack",
            "other port": f"http://127.0.0.1:{other}/attack",
            "sandboxed frame": f"http://127.0.0.1:{other}/frame",
            "rebound name": f"http://evil.test:{port}/attack",
        }
        if page == "rebound name":  # it was loaded while the name was still the attacker's
            body = ATTACK.replace("TARGET", f"evil.test:{port}")
            tab.page.route(
                "**/attack", lambda route: route.fulfill(body=body, content_type="text/html")
            )
        tab.page.goto(addresses[page])
        tab.wait("window.result")
        result = tab.page.evaluate("window.result")
        tab.context.close()
    assert result["socket"] == "refused"
    assert "key" not in result["read"]
    assert result["read"] == "refused" or "does not go by that name" in result["read"]
    assert result["image"] == "refused"
    assert result["post"] in ("opaque0", "refused", "basic421")


def test_the_same_tries_succeed_for_the_studios_own_page(hostile: tuple[int, int]) -> None:
    """Otherwise the tests above would prove nothing."""
    port, _ = hostile
    with chromium(None, NO_HELP) as browser:
        tab = Tab(browser)
        body = ATTACK.replace("TARGET", f"127.0.0.1:{port}")
        tab.page.route(
            "**/attack", lambda route: route.fulfill(body=body, content_type="text/html")
        )
        tab.page.goto(f"http://127.0.0.1:{port}/attack")
        tab.wait("window.result")
        result = tab.page.evaluate("window.result")
        tab.context.close()
    assert result["socket"] == "opened" and result["image"] == "loaded"
    assert 'name="key"' in result["read"]
