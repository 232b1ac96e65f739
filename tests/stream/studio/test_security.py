"""Who is let in: names, origins, keys. The hostile pages in a real browser: test_studio_browser."""

import asyncio
from typing import Any

import pytest

from stream.clock import ManualClock
from stream.studio.security import FAILURES_S, MOST_FAILURES, Guard, Hosts, Keys, Role

KEY = "0123456789abcdef"
OWN = {"host": "127.0.0.1:7860"}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret"})


def ask(headers: dict[str, str], kind: str = "http", hosts: Hosts | None = None) -> Any:
    """What a request with these headers is answered: a status, or what becomes of a socket."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    guard = Guard(_app, hosts or Hosts(7860))
    asyncio.run(guard({"type": kind, "headers": raw, "path": "/"}, receive, send))
    if kind == "websocket":
        return sent[0]["type"]
    assert b"secret" not in sent[1]["body"] or sent[0]["status"] == 200
    assert b"content-security-policy" in dict(sent[0]["headers"])
    return sent[0]["status"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST:7860", "[::1]:7860"]
)
def test_this_machine_is_let_in_by_its_names(host: str) -> None:
    assert ask({"host": host}) == 200
    assert ask({"host": host, "origin": f"http://{host}"}, "websocket") == "websocket.accept"


@pytest.mark.parametrize(
    "host",
    [
        "evil.test:7860",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1.evil.test:7860",
        "",
        "192.168.1.5:7860",
    ],
)
def test_a_name_that_was_rebound_is_refused(host: str) -> None:
    assert ask({"host": host}) == 421
    assert ask({"host": host, "origin": f"http://{host}"}, "websocket") == "websocket.close"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.test",
        "http://127.0.0.1:8000",
        "file://",
        "http://127.0.0.1:7860.evil.test",
        "",
    ],
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert ask({**OWN, "origin": origin}) == 403
    assert ask({**OWN, "origin": origin}, "websocket") == "websocket.close"


def test_a_socket_must_say_where_it_comes_from() -> None:
    assert ask(OWN, "websocket") == "websocket.close"


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)],
)
def test_what_is_embedded_elsewhere_is_refused(site: str, status: int) -> None:
    assert ask({**OWN, "sec-fetch-site": site}) == status


def test_two_hosts_are_refused() -> None:
    hosts = [(b"host", b"127.0.0.1:7860"), (b"host", b"evil.test")]
    guard = Guard(_app, Hosts(7860))
    assert guard._refusal({"type": "http", "headers": hosts}) is not None


def test_names_and_addresses_of_an_open_server() -> None:
    hosts = Hosts(7860, ["studio.test", "proxy.test:8443"], is_open=True)
    for host in (
        "studio.test",
        "studio.test:7860",
        "proxy.test:8443",
        "192.168.1.5:7860",
        "[fd00::1]:7860",
    ):
        assert host in hosts
    for host in ("192.168.1.5", "192.168.1.5:80", "evil.test:7860", "studio.test:1"):
        assert host not in hosts
    assert "192.168.1.5:7860" not in Hosts(7860)
    assert hosts.has_origin("https://studio.test") and not hosts.has_origin("ftp://studio.test")


def test_each_key_has_its_role_and_no_other_does() -> None:
    keys = Keys(KEY, ManualClock())
    for role in Role:
        assert keys.role(keys.of(role), "here") is role
    assert len({keys.of(role) for role in Role}) == 3
    for wrong in ("", KEY[:-1], KEY + "x", "é", keys.of(Role.GUEST).upper()):
        assert keys.role(wrong, "here") is None


def test_an_address_that_guesses_is_shut_out_for_a_while() -> None:
    clock = ManualClock()
    keys = Keys(KEY, clock)
    for _ in range(MOST_FAILURES):
        assert keys.role("wrong", "there") is None
    assert keys.role(KEY, "there") is None
    assert keys.role(KEY, "here") is Role.OWNER
    clock.advance(FAILURES_S + 1)
    assert keys.role(KEY, "there") is Role.OWNER


def test_addresses_that_guess_take_bounded_memory() -> None:
    keys = Keys(KEY, ManualClock())
    for index in range(3000):
        keys.role("wrong", f"peer {index}")
    assert len(keys._failures) <= 1024
