"""Where a piped video may end. A pipe that was cut off looks like one that has ended: FFmpeg's
demuxers leave a last picture that is not whole out, and say nothing.

Each class here is fed the bytes as they come, and tells whether the end is at a place where the
format can end. Nothing is decoded.
"""

from abc import ABC, abstractmethod

import av

from stream.media.picture_sizes import MOST_PIXELS

MAGIC = b"YUV4MPEG2 "
FRAME = b"FRAME"
LONGEST_LINE = 4096

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
LONGEST_HEAD = 12
"""Of an EBML element: four bytes of id and eight of length."""

Y4M_FORMATS = {
    "420jpeg": "yuv420p", "420mpeg2": "yuv420p", "420paldv": "yuv420p", "420": "yuv420p",
    "422": "yuv422p", "444": "yuv444p", "411": "yuv411p", "440": "yuv440p", "mono": "gray",
    "444alpha": "yuva444p", "420p10": "yuv420p10le", "422p10": "yuv422p10le",
    "444p10": "yuv444p10le", "420p12": "yuv420p12le", "422p12": "yuv422p12le",
    "444p12": "yuv444p12le", "mono10": "gray10le", "mono12": "gray12le", "mono16": "gray16le",
    "420p16": "yuv420p16le", "422p16": "yuv422p16le", "444p16": "yuv444p16le",
}  # fmt: skip
"""FFmpeg's pixel formats by the names that yuv4mpegpipe has for them."""


def picture_bytes(pixel_format: str, width: int, height: int) -> int:
    """What a picture takes in rawvideo and yuv4mpegpipe.

    Raises:
        ValueError: There is no such pixel format.
    """
    av.VideoFormat(pixel_format)
    context = av.VideoCodecContext.create("rawvideo", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = 1  # type: ignore[assignment]
    picture = av.VideoFrame(width, height, pixel_format)
    picture.pts = 0
    return sum(packet.size for packet in context.encode(picture))


class PipeEnd(ABC):
    """Follows the bytes of one stream. Not thread-safe."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """The next bytes."""

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the stream may end here."""


class AnyEnd(PipeEnd):
    """Of a format that cannot be followed: every end is one."""

    def feed(self, data: bytes) -> None:
        return

    @property
    def is_whole(self) -> bool:
        return True


class RawEnd(PipeEnd):
    """Of rawvideo: after a picture.

    Args:
        size: Bytes of a picture.
    """

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def feed(self, data: bytes) -> None:
        self._at = (self._at + len(data)) % self._size

    @property
    def is_whole(self) -> bool:
        return self._at == 0


class Y4mEnd(PipeEnd):
    """Of yuv4mpegpipe: a line that describes it, then a line and the bytes of each picture."""

    def __init__(self) -> None:
        self._line = b""
        self._size: int | None = None
        self._rest = 0  # bytes of the picture that are to come
        self._is_lost = False

    def feed(self, data: bytes) -> None:
        while data and not self._is_lost:
            taken = min(self._rest, len(data))
            self._rest -= taken
            data = data[taken:]
            if data:
                data = self._feed_line(data)

    def _feed_line(self, data: bytes) -> bytes:
        head, newline, rest = data.partition(b"\n")
        self._line += head
        self._is_lost = len(self._line) > LONGEST_LINE
        if newline:
            line, self._line = self._line, b""
            self._take_line(line)
        return rest

    def _take_line(self, line: bytes) -> None:
        if self._size is None:
            self._size = _y4m_size(line)
            self._is_lost = self._size is None
        elif line.startswith(FRAME):
            self._rest = self._size
        else:
            self._is_lost = True

    @property
    def is_whole(self) -> bool:
        return self._is_lost or (self._rest == 0 and not self._line)


def _y4m_size(line: bytes) -> int | None:
    """Bytes of a picture, by the first line; ``None`` where that says what is not known."""
    tags = {word[:1]: word[1:] for word in line.decode("ascii", "replace").split(" ")[1:]}
    pixel_format = Y4M_FORMATS.get(tags.get("C", "420"))
    sides = [int(tags[side]) for side in "WH" if tags.get(side, "").isdecimal()]
    if pixel_format is None or len(sides) < 2 or not 0 < sides[0] * sides[1] <= MOST_PIXELS:
        return None
    return picture_bytes(pixel_format, *sides)


class MatroskaEnd(PipeEnd):
    """Of Matroska and WebM: after an element of the segment."""

    def __init__(self) -> None:
        self._head = b""
        self._rest = 0

    def feed(self, data: bytes) -> None:
        while data:
            taken = min(self._rest, len(data))
            self._rest -= taken
            data = data[taken:]
            if data:
                self._head += data[:1]
                data = data[1:]
                self._take_head()

    def _take_head(self) -> None:
        """Begin an element when all of its head is there."""
        id_bytes = _vint_bytes(self._head[0])
        if len(self._head) <= id_bytes or len(self._head) > LONGEST_HEAD:
            return
        length_bytes = _vint_bytes(self._head[id_bytes])
        if len(self._head) < id_bytes + length_bytes:
            return
        name = self._head[:id_bytes]
        digits = self._head[id_bytes:]
        value = int.from_bytes(digits, "big") & ((1 << 7 * length_bytes) - 1)
        is_open = value == (1 << 7 * length_bytes) - 1  # a length that nobody knew: its children
        self._head = b""
        self._rest = 0 if is_open or name == SEGMENT else value

    @property
    def is_whole(self) -> bool:
        return self._rest == 0 and not self._head


def _vint_bytes(first: int) -> int:
    """How many bytes a number of EBML has, by its first."""
    return 9 - max(1, first.bit_length()) if first else 8


def end_of(head: bytes) -> PipeEnd:
    """What follows a stream that begins so."""
    if head.startswith(MAGIC):
        return Y4mEnd()
    if head.startswith(EBML):
        return MatroskaEnd()
    return AnyEnd()
