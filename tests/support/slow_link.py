"""A link that is short of room: a proxy on this machine that lets through so many bits a second."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1400


class SlowLink:
    """Between a browser and a port of this machine; each direction has the room to itself.

    Args:
        port: Of the server; what a browser asks under this link's port is asked under that one.
        bits_per_s: Of each direction, all connections together.
    """

    def __init__(self, port: int, bits_per_s: float) -> None:
        self._target = port
        self.bits_per_s = bits_per_s
        self._free_at_s = {"up": 0.0, "down": 0.0}
        self._opened = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        self._opened.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._opened.set()
        await self._over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, up: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await self._carry(up, back)

    async def _carry(self, up: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        down, on = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._pour("up", up, on), self._pour("down", down, back))
        finally:
            for writer in (on, back):
                writer.close()

    async def _pour(
        self, way: str, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await source.read(CHUNK):
                start_s = max(self._free_at_s[way], loop.time())
                self._free_at_s[way] = start_s + 8 * len(data) / self.bits_per_s
                await asyncio.sleep(self._free_at_s[way] - loop.time())
                if b" HTTP/1.1\r\n" in data:
                    data = data.replace(f":{self.port}".encode(), f":{self._target}".encode())
                target.write(data)
                await target.drain()
        with suppress(OSError, RuntimeError):
            target.write_eof()


@contextmanager
def slow_link(port: int, bits_per_s: float) -> Iterator[SlowLink]:
    """A slow way to `port`."""
    link = SlowLink(port, bits_per_s)
    link.start()
    try:
        yield link
    finally:
        link.stop()
