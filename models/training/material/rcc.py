"""Read Qt resource containers (.rcc, versions 1-3): the pictures of gcompris sit in them.

Layout after Qt's own writer (qtbase, rcc.cpp): a header with three offsets, a tree of nodes, names
in UTF-16, data with a size before each; all integers big-endian.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPRESSED, DIRECTORY = 1, 2
"""Flags of a node."""


@dataclass(frozen=True, slots=True)
class _Container:
    blob: bytes
    tree: int
    data: int
    names: int
    node_bytes: int

    def name(self, offset: int) -> str:
        at = self.names + offset
        (length,) = struct.unpack_from(">H", self.blob, at)
        return self.blob[at + 6 : at + 6 + 2 * length].decode("utf-16-be")

    def content(self, offset: int, flags: int) -> bytes:
        at = self.data + offset
        (size,) = struct.unpack_from(">I", self.blob, at)
        content = self.blob[at + 4 : at + 4 + size]
        return zlib.decompress(content[4:]) if flags & COMPRESSED else content

    def walk(self, node: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = self.tree + node * self.node_bytes
        name_offset, flags = struct.unpack_from(">IH", self.blob, at)
        path = f"{prefix}/{self.name(name_offset)}" if node else ""
        if flags & DIRECTORY:
            count, first = struct.unpack_from(">II", self.blob, at + 6)
            for child in range(first, first + count):
                yield from self.walk(child, path)
        elif flags in (0, COMPRESSED):
            (offset,) = struct.unpack_from(">I", self.blob, at + 10)
            yield path, self.content(offset, flags)


def read_rcc(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the container as (path inside it, content).

    Raises:
        ValueError: It is no Qt resource container.
    """
    blob = path.read_bytes()
    if blob[:4] != b"qres":
        raise ValueError(f"{path.name} is not a Qt resource container")
    version, tree, data, names = struct.unpack_from(">IIII", blob, 4)
    yield from _Container(blob, tree, data, names, 14 if version == 1 else 22).walk(0, "")
