"""H.264 as pages speak it: Annex B, one access unit a message, no picture waits for a later one.

    camera's page ─► H264Decoder ─► frame          painting ─► H264Encoder ─► page

An encoder repeats its parameter sets at each key picture, so that a decoder can begin there.
"""

from fractions import Fraction

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from stream.frame import Size
from stream.studio.pictures import Data
from stream.studio.protocol import MOST_SIDE_PX, ProtocolError

TIME_BASE = Fraction(1, 1000)
CRF = 21
PRESET = "superfast"


class H264Encoder:
    """Encodes pictures of one size. Not thread-safe.

    Args:
        size: (width, height), in px; an odd column or row at the end is left out.
        rate: Pictures a second that come at most.
        bits_per_s: That are sent at most, on average over a second.
    """

    def __init__(self, size: Size, rate: float, bits_per_s: int) -> None:
        self.size = size
        self.bits_per_s = bits_per_s
        self._even = size[0] // 2 * 2, size[1] // 2 * 2
        kbit = max(1, bits_per_s // 1000)
        parameters = (
            f"repeat-headers=1:annexb=1:keyint=infinite:scenecut=0:sync-lookahead=0:"
            f"vbv-maxrate={kbit}:vbv-bufsize={kbit}:"
            "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
        )
        codec = av.CodecContext.create("libx264", "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height = self._even
        codec.pix_fmt = "yuv420p"
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(rate).limit_denominator(1001)
        codec.thread_count = 1
        codec.options = {
            "preset": PRESET,
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": str(CRF),
            "forced-idr": "1",
            "x264-params": parameters,
        }
        self._codec = codec
        self._last_ms = -1

    def encode(self, data: Data, time_s: float, *, key: bool) -> tuple[bytes, bool]:
        """One picture as an access unit, and whether decoding can begin with it.

        Args:
            data: uint8 RGB (H, W, 3).
            time_s: When it is shown.
            key: Decoding must be able to begin with it.
        """
        width, height = self._even
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(data[:height, :width]), "rgb24")
        frame = picture.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        self._last_ms = max(self._last_ms + 1, round(time_s / TIME_BASE))
        frame.pts, frame.time_base = self._last_ms, TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = self._codec.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(p.is_keyframe for p in packets)


class H264Decoder:
    """Decodes what a page's camera sends. Not thread-safe."""

    def __init__(self) -> None:
        self._codec: VideoCodecContext | None = None

    def decode(self, payload: bytes, *, key: bool) -> Data | None:
        """uint8 RGB (H, W, 3); ``None`` until there is a picture that decoding can begin with.

        Args:
            key: The page says that decoding can begin with it.

        Raises:
            ProtocolError: It is no H.264, or its picture is larger than the protocol allows.
        """
        if key:
            self._codec = _decoder()
        if self._codec is None:
            return None
        try:
            frames = self._codec.decode(av.Packet(payload))
            if not frames:
                return None
            return np.asarray(frames[-1].to_ndarray(format="rgb24"), dtype=np.uint8)
        except av.FFmpegError as err:
            self._codec = None
            if key:
                raise ProtocolError("got a picture that cannot be decoded") from err
            return None

    def forget(self) -> None:
        """Something was left out: nothing can be decoded until the next key picture."""
        self._codec = None

    @property
    def needs_key(self) -> bool:
        """Whether it waits for a picture that decoding can begin with."""
        return self._codec is None


def _decoder() -> VideoCodecContext:
    codec = av.CodecContext.create("h264", "r")
    assert isinstance(codec, VideoCodecContext)
    codec.thread_count = 1
    codec.flags |= Flags.low_delay
    # checked before a picture is given room
    codec.options = {"max_pixels": str(MOST_SIDE_PX**2)}
    return codec
