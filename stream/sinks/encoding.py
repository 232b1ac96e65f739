"""Encoding: checks what the user asks of encoder and container, and fills in the defaults.

Knows the codecs that are worth offering by name; any other video encoder of FFmpeg's is passed on
with FFmpeg's own defaults, in a pixel format that it has.
"""

import difflib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av

from stream.errors import SinkError
from stream.frame import Size
from stream.media.key_frames import OPTIONS, most_apart
from stream.sinks.base import VideoEncoding
from stream.sinks.profiles import FILE, codec_options

CRASH_SAFE = {"movflags": "hybrid_fragmented+delay_moov"}
"""MP4 that can be played up to the last fragment after a crash, and is an ordinary one when closed.
Without delay_moov no edit list is written, and every time stamp shifts."""

THREADS_UP_TO = ((576, 1), (1080, 2))
"""Encoder threads of a file, by the lines of its pictures."""

MOST_THREADS = 4
"""Of pictures with more lines."""

REPRODUCIBLE = ("matroska", "webm")
"""Muxers that write random numbers unless told not to."""

X264_TINY_PX = 192
"""Below this, x264's macroblock tree reads memory it has not set: two runs differ."""

SCRATCH_PX = 128
"""Side of the pictures for which an encoder is opened to see what it knows."""

X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


@dataclass(frozen=True, slots=True)
class Container:
    """A file format: FFmpeg's name for it, the codec used unless asked, the muxer's options."""

    format: str
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder worth offering; its quality and speed unless asked otherwise are in `profiles`.

    Attributes:
        pix_fmt: Written unless asked otherwise.
        crf_max: The end of the quality scale (0 is best); 0 where the codec has no such scale.
        presets: What `preset` may be; empty where there are none.
        options: Set always.
        takes_odd_sizes: Whether odd sides work with halved chroma.
        alpha_pix_fmt: Written where the frames are transparent; ``None`` where it has none.
    """

    pix_fmt: str = "yuv420p"
    crf_max: int = 0
    presets: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    takes_odd_sizes: bool = False
    alpha_pix_fmt: str | None = None
    alpha_options: Mapping[str, str] = field(default_factory=dict)


CONTAINERS = {
    ".mp4": Container("mp4", options=CRASH_SAFE),
    ".m4v": Container("mp4", options=CRASH_SAFE),
    ".mov": Container("mov", options=CRASH_SAFE),
    ".mkv": Container("matroska"),
    ".webm": Container("webm", codec="libvpx-vp9"),
}

CODECS = {
    "libx264": Codec(crf_max=51, presets=X26X_PRESETS),
    "libx265": Codec(crf_max=51, presets=X26X_PRESETS, options={"x265-params": "log-level=none"}),
    "libsvtav1": Codec(crf_max=63, presets=tuple(str(number) for number in range(14))),
    "libvpx-vp9": Codec(
        crf_max=63,
        takes_odd_sizes=True,
        alpha_pix_fmt="yuva420p",
        alpha_options={"auto-alt-ref": "0"},
    ),
    "ffv1": Codec(
        pix_fmt="bgr0", options={"level": "3"}, takes_odd_sizes=True, alpha_pix_fmt="bgra"
    ),
    "prores_ks": Codec(
        pix_fmt="yuv422p10le",
        options={"profile": "hq"},
        alpha_pix_fmt="yuva444p10le",
        alpha_options={"profile": "4444"},
    ),
}


@dataclass(frozen=True, slots=True)
class EncodingPlan:
    """Everything about an output but its pictures.

    Attributes:
        format, muxer_options: FFmpeg's container and its options.
        codec, pix_fmt, codec_options: FFmpeg's encoder, pixel format and options.
        takes_odd_sizes: Whether odd sides work with halved chroma.
    """

    format: str
    codec: str
    pix_fmt: str
    codec_options: Mapping[str, str] = field(default_factory=dict)
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    takes_odd_sizes: bool = False

    @property
    def has_alpha(self) -> bool:
        """Whether transparency is kept."""
        return any(part.is_alpha for part in av.VideoFormat(self.pix_fmt).components)

    def size(self, size: Size) -> Size:
        """The (width, height) that can be encoded: odd sides lose a pixel where they must."""
        if self.takes_odd_sizes:
            return size
        pix_fmt = av.VideoFormat(self.pix_fmt, 2, 2)
        halved = pix_fmt.chroma_width(2) == 1, pix_fmt.chroma_height(2) == 1
        width, height = (
            side - side % 2 if half else side for side, half in zip(size, halved, strict=True)
        )
        return max(width, 2), max(height, 2)

    def options(self, rate: Fraction, size: Size, threads: int | None = None) -> dict[str, str]:
        """The encoder's options for a video of so many frames a second, of this size.

        Args:
            rate: Frames a second.
            size: (width, height).
            threads: Of the encoder; ``None`` takes what the machine has.
        """
        options = {"g": str(most_apart(rate)), **OPTIONS.get(self.codec, {})}
        if self.codec == "libx264" and min(size) < X264_TINY_PX:
            options["mbtree"] = "0"
        options |= dict(self.codec_options)
        if self.codec == "libx265" and threads is not None:
            # frames at work at a time decide its bytes; the threads of its pool do not
            given = options.get("x265-params", "")
            options["x265-params"] = ":".join(filter(None, [f"frame-threads={threads}", given]))
        return options


def encoder_threads(size: Size) -> int:
    """How many threads encode a file of pictures of this size (width, height).

    x264's bytes depend on its threads, and those by default on the machine's cores: a file that is
    to be the same everywhere has as many as its size asks for.
    """
    return next((count for lines, count in THREADS_UP_TO if min(size) <= lines), MOST_THREADS)


def plan_encoding(suffix: str, encoding: VideoEncoding, *, alpha: bool = False) -> EncodingPlan:
    """Check what is asked and fill in what is not.

    Args:
        alpha: The frames are transparent, which is kept where the codec can.

    Raises:
        SinkError: No such container, or it does not hold the codec.
        ValueError: No such codec, or a quality or preset that it does not have.
    """
    container = CONTAINERS.get(suffix.lower())
    if container is None:
        raise SinkError(
            f"Videos are not written to {suffix or 'names without a suffix'}; name the output "
            f"{', '.join(CONTAINERS)}."
        )
    name = encoding.codec or container.codec
    if name == "libsvtav1":
        # It writes to stderr whatever FFmpeg's log level is; this is its only switch.
        os.environ.setdefault("SVT_LOG", "1")
    _check_codec(name)
    codec = CODECS.get(name) or Codec(pix_fmt=_pix_fmt(name))
    _check_pair(name, container, suffix)
    alpha = alpha and encoding.pix_fmt is None and codec.alpha_pix_fmt is not None
    pix_fmt = encoding.pix_fmt or (codec.alpha_pix_fmt if alpha else None) or codec.pix_fmt
    _check_pix_fmt(name, pix_fmt)
    return EncodingPlan(
        format=container.format,
        codec=name,
        pix_fmt=pix_fmt,
        codec_options={
            **codec.options,
            **codec_options(FILE.get(name, VideoEncoding())),
            **(codec.alpha_options if alpha else {}),
            **_crf(name, codec, encoding.crf),
            **_preset(name, codec, encoding.preset),
            **encoding.options,
        },
        muxer_options=_muxer_options(container),
        takes_odd_sizes=codec.takes_odd_sizes,
    )


def _muxer_options(container: Container) -> dict[str, str]:
    reproducible = {"fflags": "+bitexact"} if container.format in REPRODUCIBLE else {}
    return {**container.options, "flush_packets": "1", **reproducible}


def _check_codec(name: str) -> None:
    try:
        found = av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError as err:
        near = ", ".join(difflib.get_close_matches(name, CODECS, n=2, cutoff=0.6) or CODECS)
        raise ValueError(f"got codec={name}, expected an encoder such as {near}") from err
    if found.type != "video":
        raise ValueError(f"got codec={name}, expected an encoder of video: {', '.join(CODECS)}")


def _check_pair(name: str, container: Container, suffix: str) -> None:
    if not takes_codec(container.format, name):
        raise SinkError(
            f"{suffix} cannot hold {name}; use {container.codec}, or name the output .mkv."
        )


def takes_codec(file_format: str, codec: str) -> bool:
    """Whether a format of FFmpeg's, by its name, holds what an encoder writes."""
    with av.open(io.BytesIO(), "w", format=file_format) as scratch:
        try:
            scratch.add_stream(codec, rate=1)
        except ValueError:
            return False
    return True


def _pix_fmt(name: str) -> str:
    """The format that an encoder gets unless asked: yuv420p, or its first opaque one."""
    formats = av.Codec(name, "w").video_formats or []
    opaque = [
        known.name
        for known in formats
        if not (known.has_palette or any(part.is_alpha for part in known.components))
    ]
    usual = Codec().pix_fmt
    return usual if usual in opaque or not opaque else opaque[0]


def _check_pix_fmt(name: str, pix_fmt: str) -> None:
    formats = [known.name for known in av.Codec(name, "w").video_formats or []]
    if formats and pix_fmt not in formats:
        near = difflib.get_close_matches(pix_fmt, formats, n=3, cutoff=0.5) or formats[:3]
        raise SinkError(f"{name} does not write pix_fmt {pix_fmt!r}; try {', '.join(near)}.")


def _crf(name: str, codec: Codec, asked: int | None) -> dict[str, str]:
    if asked is None:
        return {}
    if not codec.crf_max and (name in CODECS or not _has_option(codec, name, "crf", str(asked))):
        raise ValueError(f"got crf={asked}, expected none: {name} has no such scale")
    if codec.crf_max and not 0 <= asked <= codec.crf_max:
        raise ValueError(f"got crf={asked}, expected 0 (best) to {codec.crf_max} for {name}")
    return {"crf": str(asked)}


def _preset(name: str, codec: Codec, asked: str | None) -> dict[str, str]:
    if asked is None:
        return {}
    if name in CODECS and asked not in codec.presets:
        expected = ", ".join(codec.presets) or "none"
        raise ValueError(f"got preset={asked!r}, expected {expected} for {name}")
    if name not in CODECS and not _has_option(codec, name, "preset", asked):
        raise ValueError(f"got preset={asked!r}, expected none: {name} has no presets")
    return {"preset": asked}


def _has_option(codec: Codec, name: str, option: str, value: str) -> bool:
    """Whether an encoder reads an option; taken to, where it cannot be opened here to be asked."""
    scratch = av.CodecContext.create(name, "w")
    assert isinstance(scratch, av.VideoCodecContext)
    scratch.width = scratch.height = SCRATCH_PX
    scratch.time_base, scratch.pix_fmt = Fraction(1, 24), codec.pix_fmt
    scratch.options = {option: value}
    try:
        scratch.open()
    except (OSError, ValueError):
        return True
    return option not in scratch.options  # what is left there was not read
