"""Encoder settings by purpose: a file, the recording of a live session, a stream over a network.

A profile gives for each codec what is used unless the user asks otherwise, in ffmpeg's words. Plain
data: the process that sends a stream reads it too, before it imports FFmpeg.
"""

from collections.abc import Mapping

from stream.sinks.base import VideoEncoding

FILE: Mapping[str, VideoEncoding] = {
    "libx264": VideoEncoding(crf=16, preset="superfast"),
    "libx265": VideoEncoding(crf=21),
    "libsvtav1": VideoEncoding(crf=28, preset="8"),
    "libvpx-vp9": VideoEncoding(
        crf=28, options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
    ),
}
"""Quality first, but not at any price: on a CPU the encoder takes the model's time. x264's preset
is chosen by the table in docs/benchmarks.md."""

RECORDING: Mapping[str, VideoEncoding] = {
    "libx264": VideoEncoding(crf=20, preset="veryfast"),
    "libvpx-vp9": VideoEncoding(crf=31, options={"deadline": "realtime", "cpu-used": "8"}),
}
"""At a fraction of the usual cost: the machine has a model to run beside it."""

SOURCE_RECORDING: Mapping[str, VideoEncoding] = {
    "libx264": VideoEncoding(crf=8, preset="ultrafast"),
    "libvpx-vp9": VideoEncoding(crf=10, options={"deadline": "realtime", "cpu-used": "8"}),
}
"""As near to lossless as a few milliseconds a frame allow: it is painted again."""

STREAM: Mapping[str, VideoEncoding] = {
    "libx264": VideoEncoding(crf=23, preset="veryfast", options={"tune": "zerolatency"}),
}
"""No frame is held back, and little is sent."""


def codec_options(encoding: VideoEncoding) -> dict[str, str]:
    """What an encoding gives, as options of FFmpeg's encoder."""
    named = {"crf": encoding.crf, "preset": encoding.preset}
    given = {name: str(value) for name, value in named.items() if value is not None}
    return given | dict(encoding.options)
