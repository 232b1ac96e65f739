"""The program that restyles one dropped file, apart from the studio: a broken file harms it alone.

    python -m stream.studio.job_process      the order on standard input, one JSON object a line
                                             what happens on standard output, likewise

It ends when its standard input does. The same options give the same bytes as `allaprima restyle`:
both are `stream.offline.restyler.Restyler`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import av

from models import ModelError
from stream.clock import Clock
from stream.errors import SourceError, StreamError
from stream.frame import Frame
from stream.offline.jobs import Job
from stream.offline.options import RestyleOptions
from stream.offline.restyler import Restyler
from stream.sources import open_source
from stream.studio import pictures
from stream.video_info import IMAGE_SUFFIXES, VideoInfo
from stream.workers import meanwhile

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,gif,h264,hevc"
)
"""Containers that are taken. Playlists (hls, ffconcat) could name other files of this machine."""

PREVIEW_PX = 180
PREVIEW_EVERY_S = 1.0
TELL_EVERY_S = 0.25
LOOK_LIMIT_S = 60
"""Of processor time, to find out what a file is."""

NICENESS = 10


def main() -> None:
    """Take the order and carry it out; exit code 0 also where the file was refused."""
    order = json.loads(sys.stdin.readline())
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    try:
        if order["task"] == "look":
            _limit_time()
            tell(**look(Path(order["source"]), Path(order["poster"])))
        else:
            restyle(order)
    except (StreamError, ModelError, ValueError) as err:
        tell(error=str(err).replace(order["source"], order["name"]))


def tell(**what: object) -> None:
    """One line to the studio."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _limit_time() -> None:
    with suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (LOOK_LIMIT_S, LOOK_LIMIT_S))


def check_format(source: Path) -> None:
    """
    Raises:
        SourceError: The file is none of those that are taken, whatever its name says.
    """
    if source.suffix.lower() in IMAGE_SUFFIXES:
        return
    try:
        av.open(f"file:{source}", options={"format_whitelist": FORMATS}).close()
    except (av.FFmpegError, MemoryError) as err:
        raise SourceError(
            f"{source} is not a video that can be read, or its beginning is damaged or its end is "
            "missing; check that it plays."
        ) from err


def look(source: Path, poster: Path) -> dict[str, object]:
    """What a file holds; its first picture becomes `poster`.

    Raises:
        SourceError: It cannot be read.
    """
    check_format(source)
    with open_source(source) as opened:
        first, info = opened.read(), opened.info
    if first is None:
        raise SourceError(f"There is no picture in {source}; check that it plays.")
    _save(first, poster)
    rate = float(info.rate) if info.rate else None
    counted = {"frames": info.frame_count, "seconds": info.duration_s, "rate": rate}
    return {"size": list(info.size), "picture": info.frame_count == 1, **counted}


def restyle(order: dict[str, Any]) -> None:
    """Restyle one file.

    Raises:
        SourceError, SinkError, ModelError, OptionError: As `Restyler.restyle`.
    """
    check_format(Path(order["source"]))
    options = RestyleOptions(**order["options"])
    options.check()
    teller = Teller(Path(order["preview"]))
    restyler = Restyler(
        options,
        watch=teller.watch,
        on_load=lambda: tell(loading=True),
        on_download=lambda source, done, total: tell(fetching=[source, done, total]),
    )
    stop_when_told(restyler.stop)
    job = Job(order["source"], order["sink"])
    restyler.check([job])
    with closing(restyler):
        outcome = restyler.restyle(job)
    stats = outcome.stats
    tell(
        done=True,
        frames=stats.frames_out,
        fps=stats.fps,
        stopped=outcome.interrupted,
        damaged=outcome.damaged,
        notes=stats.notes,
    )


def stop_when_told(stop: Callable[[], bool]) -> None:
    """Stop at SIGTERM, and where the studio is no more."""

    def handle(number: int, frame: FrameType | None) -> None:
        if not stop():
            raise KeyboardInterrupt

    def wait_for_the_end() -> None:
        while os.read(sys.stdin.fileno(), 1):  # no lock of Python's, which its end would wait for
            pass
        if not stop():
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the studio's to hear
    meanwhile("studio", wait_for_the_end)


class Teller:
    """Tells the studio of finished frames, and shows it one now and then."""

    def __init__(self, preview: Path) -> None:
        self._preview = preview
        self._clock = Clock()
        self._count = 0
        self._told_s = self._shown_s = float("-inf")

    @contextmanager
    def watch(self, job: Job, info: VideoInfo) -> Iterator[Callable[[Frame | None], None]]:
        """For the time of one job."""
        tell(begun=True, frames=info.frame_count)
        yield self.advance

    def advance(self, frame: Frame | None) -> None:
        """One more frame is done."""
        self._count += 1
        now_s = self._clock.now_s()
        if frame is not None and now_s - self._shown_s >= PREVIEW_EVERY_S:
            self._shown_s = now_s
            _save(frame, self._preview)
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            tell(frame=self._count)


def _save(frame: Frame, path: Path) -> None:
    """A small copy, which is never seen half written."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(pictures.encode_jpeg(pictures.thumbnail(frame.data, PREVIEW_PX), 85))
    partial.replace(path)


if __name__ == "__main__":
    main()
    os._exit(0)  # a thread still waits for the studio's end
