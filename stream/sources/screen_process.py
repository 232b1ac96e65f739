"""Grabs an X11 screen in a process of its own.

    python -P screen_process.py PLACE RATE [WxH]

Writes one line ``width height``, then raw RGB pictures, to standard output, and ends when nobody
reads them any more. It must import neither OpenCV nor `stream`, which loads it: the X libraries
of both wheels crash each other (with OpenCV loaded first the grabbing does, with PyAV loaded first
OpenCV's windows hang).
Started by `stream.sources.screen`.
"""

import os
import sys
from contextlib import suppress

import av
from av.video.reformatter import VideoReformatter

EXIT_NO_SCREEN = 3


def grab(place: str, rate: str, size: str | None) -> int:
    """Send pictures until the reader has gone; the process's exit code."""
    options = {"framerate": rate, "draw_mouse": "0"}
    if size is not None:
        options["video_size"] = size
    reformatter = VideoReformatter()
    out = sys.stdout.buffer
    try:
        with av.open(place, format="x11grab", options=options) as container:
            stream = container.streams.video[0]
            out.write(f"{stream.width} {stream.height}\n".encode())
            for picture in container.decode(stream):
                rgb = reformatter.reformat(picture, format="rgb24", threads=1)
                out.write(rgb.to_ndarray().tobytes())
                out.flush()
    except (av.FFmpegError, ValueError):
        return EXIT_NO_SCREEN
    except BrokenPipeError:
        with suppress(OSError):
            os.close(sys.stdout.fileno())  # nobody reads: nothing is left to flush
    return 0


if __name__ == "__main__":
    raise SystemExit(grab(sys.argv[1], sys.argv[2], sys.argv[3] if sys.argv[3:] else None))
