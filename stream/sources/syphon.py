"""SyphonSource: pictures that another program of this Mac shares by Syphon, by syphon-python.

Written after syphon-python's own source and examples; not run on macOS by us.
"""

import importlib
from typing import Any

import numpy as np

from stream.clock import Clock
from stream.errors import SourceError
from stream.media.other_programs import load
from stream.sources.other_program import Data, OtherProgramSource

POLL_S = 0.002

BGRA_UNORM = 80
"""MTLPixelFormatBGRA8Unorm (Metal, MTLPixelFormat); the other one that is read is RGBA8Unorm."""


class SyphonSource(OtherProgramSource):
    """RGB frames of a Syphon server. Not thread-safe, but for `interrupt`.

    Args:
        name: Its name or its program's, or a part of them; "" takes the first.
        library: The module syphon; the tests have another.

    Raises:
        SourceError: The library is missing, or there is no such server.
    """

    def __init__(self, name: str, *, clock: Clock | None = None, library: Any = None) -> None:
        library = load("syphon", SourceError) if library is None else library
        super().__init__(f"syphon:{name}", clock)
        self._numpy = importlib.import_module(f"{library.__name__}.utils.numpy")
        servers = library.SyphonServerDirectory().servers
        found = [one for one in servers if name.lower() in _title(one).lower()]
        if not found:
            there = ", ".join(map(_title, servers)) or "none"
            raise SourceError(f"There is no Syphon server called {name!r}; there is: {there}.")
        self._client: Any = library.SyphonMetalClient(found[0])
        self._begin()

    def _receive(self, limit_s: float) -> Data | None:
        end_s = self._clock.now_s() + limit_s
        while self._client is not None and not self._stopped.is_set():
            if not self._client.is_valid:
                raise SourceError(f"{self._name} is gone; start it again.")
            if self._client.has_new_frame:
                return self._picture(self._client.new_frame_image)
            if self._clock.now_s() >= end_s:
                break
            self._clock.wait(self._stopped, POLL_S)
        return None

    def _picture(self, texture: Any) -> Data:
        pixels = self._numpy.copy_mtl_texture_to_image(texture)
        colours = pixels[..., :3]
        if int(texture.pixelFormat()) == BGRA_UNORM:
            colours = colours[..., ::-1]
        # the first line of a texture is the lowest
        return np.ascontiguousarray(colours[::-1])

    def close(self) -> None:
        client, self._client = getattr(self, "_client", None), None
        if client is not None:
            client.stop()


def syphon_names(library: Any) -> list[str]:
    """The Syphon servers of this machine."""
    return [_title(one) for one in library.SyphonServerDirectory().servers]


def _title(server: Any) -> str:
    return " ".join(filter(None, (server.app_name, server.name)))
