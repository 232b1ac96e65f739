"""H.264 whose pictures are coded as two fields each (PAFF), which no encoder at hand writes."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av

BLOCKS = (4, 3)
"""Macroblocks across, and down one field."""

FIELD_TICKS = 1800


class _Bits:
    """Bits as H.264 writes them; a number is u(v), or ue(v) where no length is given."""

    def __init__(self) -> None:
        self._bits = ""

    def put(self, *values: int | tuple[int, int]) -> "_Bits":
        for value in values:
            if isinstance(value, tuple):
                number, length = value
                self._bits += f"{number:0{length}b}"
            else:
                code = f"{value + 1:b}"
                self._bits += "0" * (len(code) - 1) + code
        return self

    def align(self) -> None:
        self._bits += "0" * (-len(self._bits) % 8)

    def unit(self, header: int) -> bytes:
        self.put((1, 1)).align()
        raw = int(self._bits, 2).to_bytes(len(self._bits) // 8, "big")
        escaped, zeros = bytearray(), 0
        for byte in raw:
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([header]) + bytes(escaped)


def _parameters() -> bytes:
    """Main profile, 25 pictures a second, frame_mbs_only_flag 0, pictures never reordered."""
    sequence = _Bits().put((77, 8), (0, 8), (30, 8), 0, 0, 0, 4, 1, (0, 1), BLOCKS[0] - 1)
    sequence.put(BLOCKS[1] - 1, (0, 1), (0, 1), (1, 1), (0, 1), (1, 1), (0, 4), (1, 1))
    sequence.put((1, 32), (50, 32), (1, 1), (0, 3), (1, 1), (1, 1), 0, 0, 10, 10, 0, 1)
    picture = _Bits().put(0, 0, (0, 1), (0, 1), 0, 0, 0, (0, 1), (0, 2), 0, 0, 0, (1, 1), (0, 2))
    return sequence.unit(0x67) + picture.unit(0x68)


def _field(number: int, bottom: int) -> bytes:
    """One I slice of I_PCM blocks."""
    is_first = number == 0 and not bottom
    bits = _Bits().put(0, 7, 0, (number % 16, 4), (1, 1), (bottom, 1))
    if is_first:
        bits.put(0)
    bits.put((2 * number + bottom, 8), *([(0, 1)] * (2 if is_first else 1)), 0, 1)
    for _ in range(BLOCKS[0] * BLOCKS[1]):
        bits.put(25).align()
        bits.put(*([(40 + 8 * number, 8)] * 256), *([(128, 8)] * 128))
    return (_parameters() if is_first else b"") + bits.unit(0x25 if is_first else 0x21)


def write_fields(path: Path, pictures: int) -> Path:
    """A packet a field, each with a time of its own, as broadcasts have it."""
    units = [_field(number, bottom) for number in range(pictures) for bottom in (0, 1)]
    delimiter = b"\0\0\0\1\x09\xf0"
    raw = BytesIO(b"".join(delimiter + unit for unit in units))
    with av.open(raw, format="h264") as coded, av.open(str(path), "w") as output:
        video = output.add_stream_from_template(coded.streams.video[0])
        for index, unit in enumerate(units):
            packet = av.Packet(delimiter + unit)
            packet.stream, packet.time_base = video, Fraction(1, 90000)
            packet.pts = packet.dts = index * FIELD_TICKS
            packet.duration, packet.is_keyframe = FIELD_TICKS, index == 0
            output.mux(packet)
    return path
