"""StyleSource: a camera, stream or film whose pictures are the style, beside a live session.

    thread of its own:  source ──newest, every `PERIOD_S`──► smaller ──if it is another──► Controls

The session paints on meanwhile, with the picture before. What is left for the thread that paints is
one run of the image encoder for each picture that is another, between two frames.
"""

import logging
import re
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import StyleImage
from stream import geometry
from stream.clock import Clock
from stream.errors import SourceError
from stream.frame import Frame
from stream.live.controls import Controls
from stream.live.inputs import LiveInput, open_live_source, source_kind
from stream.sinks import names_video
from stream.sources import GENERATOR
from stream.sources.base import Source
from stream.stats import Stats
from stream.stylizer.style_images import parse_style_image

logger = logging.getLogger(__name__)

PERIOD_S = 2.0
"""How often a picture is taken."""

SHORT_SIDE_PX = 512
"""Of a picture; image encoders look at 224 or 336."""

THUMBNAIL = 32, 32
LEAST_CHANGE = 4.0
"""Mean difference, in levels of 255, from which a picture is another."""

CAMERA = re.compile(r"camera|\d+|/dev/video\d+")
WAITING = 128
"""The level of the grey picture that stands for a source until its first is there."""


def is_moving(spec: str) -> bool:
    """Whether the name of a style picture is one of a camera, stream, program or film."""
    name, _ = parse_style_image(spec)
    kind = source_kind(name)
    if kind == "camera":
        return CAMERA.fullmatch(name) is not None
    return kind in ("network", "screen", "program") or (
        kind == "file" and (names_video(name) or GENERATOR.match(name) is not None)
    )


def waiting_image(spec: str) -> StyleImage:
    """What stands for a source until its first picture is there.

    Raises:
        ValueError: The weight is outside its range.
    """
    name, weight = parse_style_image(spec)
    data = np.full((*THUMBNAIL, 3), WAITING, np.uint8)
    return StyleImage(data, _called(name), weight)


class StyleSource:
    """Gives controls the newest picture of a source as one of the style's; a service.

    Args:
        spec: What is read, with a weight behind it if need be; a film is played round and round.
        controls: Whose style has a `waiting_image` of that name.
        stats: Where it says what went wrong.
        source: Read in place of what `spec` names.

    Raises:
        SourceError: It cannot be opened, or gives no picture.
    """

    def __init__(
        self,
        spec: str,
        controls: Controls,
        *,
        clock: Clock,
        stats: Stats,
        source: Source | None = None,
    ) -> None:
        name, self._weight = parse_style_image(spec)
        self.name = f"style {name}"
        self._called = _called(name)
        self._controls, self._clock, self._stats = controls, clock, stats
        self._stopped = threading.Event()
        self._before: NDArray[np.float32] | None = None
        # its frames are not counted among the session's
        self._source = source or open_live_source(
            LiveInput(name, loop=True), clock=clock, stats=Stats(clock=clock)
        )
        first = self._source.read()
        if first is None:
            self.abandon()
            raise SourceError(f"The style {name} gives no picture; check that it plays.")
        self._show(first)
        self._due_s = clock.now_s() + PERIOD_S

    def run(self) -> None:
        try:
            while not self._stopped.is_set() and (frame := self._source.read()) is not None:
                if self._clock.now_s() >= self._due_s:
                    self._show(frame)
                    self._due_s = self._clock.now_s() + PERIOD_S
        except SourceError as err:
            self._stats.note(f"{err} The style stays as it was.")
            logger.warning("%s", err)
        finally:
            self._source.close()

    def stop(self) -> None:
        self._stopped.set()
        self._source.interrupt()

    def abandon(self) -> None:
        """Let go of the source where `run` will never be called."""
        self._source.close()

    def _show(self, frame: Frame) -> None:
        thumbnail = geometry.resize(frame.data, THUMBNAIL).astype(np.float32)
        if self._before is not None and np.abs(thumbnail - self._before).mean() < LEAST_CHANGE:
            return
        self._before = thumbnail
        scale = min(1.0, SHORT_SIDE_PX / min(frame.size))
        size = round(frame.width * scale), round(frame.height * scale)
        data = np.ascontiguousarray(geometry.resize(frame.data, size)).copy()
        self._controls.show_image(StyleImage(data, self._called, self._weight))


def _called(name: str) -> str:
    """The name in a mixture, without the signs that mean something there."""
    named = Path(name).stem if source_kind(name) == "file" else name
    return re.sub(r"[:|/]+", "-", named).strip("-")
