"""A page that does not read is cut off, and costs a bounded queue until then."""

import asyncio
from types import SimpleNamespace
from typing import Any

from fakes import LIMIT_S

from stream.studio import page_socket
from stream.studio.page_socket import MOST_QUEUED, PageSocket
from stream.studio.security import Role


class StuckSocket:
    """Takes the hello and one message, and then nothing; closing it is noted."""

    client = None

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed: list[int] = []

    async def accept(self) -> None:
        return

    async def receive(self) -> dict[str, Any]:
        if not self.sent:
            self.sent.append("")
            hello = '{"hello": 1, "key": "", "kind": "live", "size": [128, 64]}'
            return {"type": "websocket.receive", "text": hello}
        await asyncio.Event().wait()
        raise AssertionError

    async def send_text(self, text: str) -> None:
        self.sent.append(text)
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed.append(code)


def test_a_page_that_does_not_read_is_cut_off(monkeypatch: Any) -> None:
    monkeypatch.setattr(page_socket, "STUCK_S", 0.0)
    left: list[object] = []
    seats = SimpleNamespace(enter=lambda page: None, leave=left.append)
    keys = SimpleNamespace(role=lambda key, peer: Role.OWNER)
    studio: Any = SimpleNamespace(seats=seats, keys=keys, remove_watcher=lambda page: None)
    socket: Any = StuckSocket()

    async def flood() -> None:
        page = PageSocket(socket, studio)
        serving = asyncio.ensure_future(page.serve())
        while not hasattr(page, "hello"):
            await asyncio.sleep(0)
        for index in range(3 * MOST_QUEUED):
            page.send({"n": index})
            await asyncio.sleep(0)
            assert page._queue.qsize() <= MOST_QUEUED
        async with asyncio.timeout(LIMIT_S):
            await serving

    asyncio.run(flood())
    assert len(left) == 1 and len(socket.sent) == 2
