"""A live session with real sources and sinks and a painter without a model: quick to start, also as
a process of its own: ``python light_live.py SOURCE OUTPUT``.
"""

import sys
from collections.abc import Sequence
from fractions import Fraction

from models import Style
from stream.clock import Clock
from stream.frame import Frame, Size
from stream.live.controls import Controls, Look
from stream.live.governor import Effort
from stream.live.inputs import LiveInput, open_live_source
from stream.live.motion_carry import Reference, make_reference
from stream.live.outputs import LiveOutputs, open_live_sink
from stream.live.session import TIME_BASE, LiveSession
from stream.stats import Stats
from stream.video_info import VideoInfo


class NegativePainter:
    """Paints the negative, at full effort."""

    def __init__(self) -> None:
        self.effort = Effort(1, 64, 1)
        self.reference: Reference | None = None

    def warm_up(self, source_size: Size, look: Look) -> None:
        return

    def output_size(self, source_size: Size) -> Size:
        return source_size

    def is_due(self, frame: Frame) -> bool:
        return True

    def paint(self, frame: Frame, look: Look) -> Frame:
        painted = frame.replace(255 - frame.data)
        self.reference = make_reference(frame, painted)
        return painted

    def close(self) -> None:
        self.reference = None


def make_light(
    source: str,
    outputs: Sequence[str],
    *,
    loop: bool = False,
    sound: bool = False,
    painter: object = None,
    **options: object,
) -> LiveSession:
    """The session that `allaprima live --from SOURCE --to OUTPUT ...` would run."""
    clock = Clock()
    stats = Stats(clock=clock)
    controls = Controls(Look(Style(), transition_s=0.0))
    wanted = LiveInput(source, loop=loop, sound=sound)
    opened = open_live_source(wanted, clock=clock, stats=stats)
    shared = LiveOutputs(
        info=VideoInfo(
            opened.info.size,
            TIME_BASE,
            opened.info.rate or Fraction(24),
            sound=opened.has_sound,
        ),
        controls=controls,
        stats=stats,
        clock=clock,
    )
    return LiveSession(
        opened,
        lambda: painter or NegativePainter(),
        [(spec, open_live_sink(spec, shared)) for spec in outputs],
        controls=controls,
        clock=clock,
        stats=stats,
        **options,
    )


if __name__ == "__main__":
    make_light(sys.argv[1], sys.argv[2:]).run()
