"""Playlists that the user names: their parts must lie in the playlist's own folder, or below it.

    list.m3u8      HLS       each file that FFmpeg asks for is opened here, or refused
    list.ffconcat  ffconcat  FFmpeg refuses what is not relative (safe=1)

What a playlist names is looked at before FFmpeg sees it, so that a wrong or missing part is said by
its name and never passed over.
"""

import io
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from stream.errors import SourceError

HLS_SUFFIXES = (".m3u8", ".m3u")
PLAYLIST_SUFFIXES = (*HLS_SUFFIXES, ".ffconcat")

PLACE = re.compile(r'URI="([^"]*)"')
"""Where a tag of HLS names a part: a key, a map, another playlist."""

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]")
"""How an address, a drive, an absolute path or one of a network share (UNC) begins."""

END = "#EXT-X-ENDLIST"
MOST_BYTES = 8_000_000
"""Of one playlist: days of segments."""

DEEPEST = 4
"""Playlists inside of each other."""


def playlist_options(
    path: Path, formats: tuple[str, ...]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """What PyAV needs to open a playlist: its place, options and further arguments.

    Args:
        formats: Those that its parts may have.

    Raises:
        SourceError: It names what is not in its folder.
    """
    check_parts(path)
    place = f"file:{path.resolve()}"
    if path.suffix.lower() in HLS_SUFFIXES:
        options = {"format_whitelist": ",".join((*formats, "hls", "webvtt"))}
        options |= {"http_persistent": "0", "http_multiple": "0"}  # our files are no connections
        return place, options, {"io_open": Folder(path).open}
    options = {"format_whitelist": ",".join((*formats, "concat")), "safe": "1"}
    return place, options, {}


def check_parts(path: Path, depth: int = 0) -> None:
    """
    Raises:
        SourceError: A part is not there, or not in the folder of the playlist that names it.
    """
    if depth > DEEPEST:
        raise SourceError(f"{path} is a playlist of playlists of playlists; give a simpler one.")
    is_hls = path.suffix.lower() in HLS_SUFFIXES
    for name in parts_of_hls(path) if is_hls else parts_of_ffconcat(path):
        part = path.parent / name
        if ABSOLUTE.match(name) or not is_below(part, path.parent):
            raise SourceError(
                f"{path} names {name}, which is not in its folder; a playlist may name only what "
                "is: copy the parts there."
            )
        if not part.is_file():
            raise SourceError(f"{path} names {name}, which is not there; copy it there.")
        if part.suffix.lower() in HLS_SUFFIXES:
            check_parts(part, depth + 1)


def parts_of_hls(path: Path) -> Iterator[str]:
    """The names in a playlist of HLS."""
    for line in read_text(path).splitlines():
        if not line.startswith("#"):
            yield from filter(None, [line.strip()])
        else:
            yield from PLACE.findall(line)


def parts_of_ffconcat(path: Path) -> Iterator[str]:
    """The names in a list of files, which FFmpeg quotes as a shell does."""
    for line in read_text(path).splitlines():
        directive, _, name = line.strip().partition(" ")
        if directive == "file":
            try:
                yield "".join(shlex.split(name.strip())[:1])
            except ValueError as err:
                raise SourceError(f"{path} is not well formed at {line.strip()!r}.") from err


def read_text(path: Path) -> str:
    """
    Raises:
        SourceError: It cannot be read, or is too large to be a playlist.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as err:
        raise SourceError(
            f"{path} cannot be read ({err.strerror}); check its permissions."
        ) from err
    if len(data) > MOST_BYTES:
        raise SourceError(f"{path} is no playlist: it is too large.")
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def is_below(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder or below it, wherever links lead."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


class Folder:
    """Opens what a playlist of HLS names, for PyAV. Not thread-safe."""

    def __init__(self, playlist: Path) -> None:
        self._folder = playlist.resolve().parent

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> BinaryIO:
        """
        Raises:
            SourceError: It is not in the folder.
            OSError: It cannot be opened.
        """
        path = Path(url.removeprefix("file:"))
        if not (url.startswith("file:") and is_below(path, self._folder)):
            raise SourceError(f"The playlist names {url}, which is not in its folder.")
        if path.suffix.lower() not in HLS_SUFFIXES:
            file = path.open("rb")
            file.seek(int(options.get("offset", 0)))
            return file
        # one that is not ended would be read again and again, and from its end
        text = f"{read_text(path).rstrip()}\n"
        ended = text if END in text else f"{text}{END}\n"
        return io.BytesIO(ended.encode("utf-8", "surrogateescape"))
