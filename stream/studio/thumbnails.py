"""Thumbnails: a person's own picture in each style, painted in between and shown under it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from stream.frame import Frame, Size
from stream.live.size_preparation import SizePreparation
from stream.studio import pictures
from stream.studio.protocol import Kind, Packet, write_packet
from stream.stylizer.stylizer import Stylizer

if TYPE_CHECKING:
    from models import Engine, Style

HEIGHT_PX = 96
QUALITY = 82
MODEL_SHARE = 0.75
"""Short side that is painted at, of the model's own; the governor's smaller size, so no other."""

FIRST_S, FAST_S, SLOW_S = 1.0, 0.7, 6.0
"""Until the first, between those of the first round, and between those of later rounds."""


class Thumbnails:
    """Which style's turn it is, and when. Called in the engine's thread.

    Args:
        prompts: Of the styles, in the order of the page's strip.
        rounds: How many times all are painted for one picture; ``None`` for ever.
    """

    def __init__(self, prompts: tuple[str, ...], *, rounds: int | None) -> None:
        self._prompts = prompts
        self._rounds = rounds
        self._next = 0
        self._stylizer: Stylizer | None = None
        self._preparation: SizePreparation | None = None
        self.due_at_s: float | None = None

    def begin(self, now_s: float) -> None:
        """There is a picture to paint, or another one: begin anew."""
        self._next = 0
        self.due_at_s = now_s + FIRST_S if self._prompts else None

    def rest(self) -> None:
        """Nothing is to be painted until `begin`."""
        self.due_at_s = None

    def paint(self, engine: "Engine", frame: Frame, style: "Style", now_s: float) -> bytes | None:
        """The next thumbnail, as a message; ``None`` while the engine is made ready for it.

        Args:
            style: How the person paints: everything but the prompt is kept.
        """
        index = self._next % len(self._prompts)
        wanted = replace(style, prompt=self._prompts[index], num_inference_steps=1)
        if self._stylizer is None or self._preparation is None:
            self._stylizer = _make_stylizer(engine, wanted, frame.size)
            self._preparation = SizePreparation(engine)
        sizes = self._stylizer.sizes(frame.size)
        if not self._preparation.is_ready(sizes.model, sizes.cell_px, wanted):
            self.due_at_s = now_s + FAST_S
            return None
        self._stylizer.reset()
        self._stylizer.style = wanted
        painted = self._stylizer.process(frame)[-1].data
        self._next += 1
        self._plan(now_s)
        small = pictures.encode_jpeg(pictures.thumbnail(painted, HEIGHT_PX), QUALITY)
        return write_packet(Packet(Kind.THUMBNAIL, index, small))

    def _plan(self, now_s: float) -> None:
        round_ = self._next // len(self._prompts)
        if self._rounds is not None and round_ >= self._rounds:
            self.due_at_s = None
        else:
            self.due_at_s = now_s + (SLOW_S if round_ else FAST_S)


def _make_stylizer(engine: "Engine", style: "Style", size: Size) -> Stylizer:
    """Paints pictures of this size smaller, at no more pixels than a thumbnail shows sharply."""
    multiple_px = engine.size_multiple
    side_px = int(MODEL_SHARE * engine.native_size / multiple_px) * multiple_px
    scale = 2 * HEIGHT_PX / size[1]
    return Stylizer(
        engine,
        style,
        short_side_px=max(multiple_px, side_px),
        output_size=(round(size[0] * scale), 2 * HEIGHT_PX),
        stability=0.0,
    )
