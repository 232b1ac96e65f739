"""A live session while its source is away: notices, repetitions, and what is said meanwhile."""

import numpy as np
import pytest
from fakes import ListSink, make_frames
from live_fakes import FakePainter, SteppedSource, make_live

from stream.clock import ManualClock


def source_with(number: int, count: int = 4, **changes: bool) -> SteppedSource:
    """A source one of whose frames is of a special kind."""
    source = SteppedSource(count)
    frame = source._frames[number]
    source._frames[number] = frame.replace(frame.data, **changes)
    return source


def test_a_notice_is_shown_and_not_painted() -> None:
    source, painter = source_with(2, as_is=True), FakePainter()
    sink = ListSink(on_write=source.step)

    make_live(source, [("list", sink)], painter).run()

    plain = [frame.data for frame in make_frames(4)]
    expected = [255 - plain[0], 255 - plain[1], plain[2], 255 - plain[3]]
    assert all(map(np.array_equal, (frame.data for frame in sink.frames), expected))
    assert len(painter.painted) == 3


def test_repetitions_are_counted() -> None:
    source = source_with(1, is_repeat=True)
    sink = ListSink(on_write=source.step)

    stats = make_live(source, [("list", sink)]).run()

    assert len(sink.frames) == 4
    assert stats.events["repeated"] == 1


@pytest.mark.parametrize("duration_s", [3.0, 2.5])
def test_it_is_told_once_a_second_how_it_goes(duration_s: float) -> None:
    source, ticks, clock = SteppedSource(1000), [], ManualClock()
    session = make_live(
        source,
        [("list", ListSink())],
        clock=clock,
        duration_s=duration_s,
        on_tick=lambda: ticks.append(clock.now_s()),
    )
    session.run()
    assert len(ticks) >= 3
    assert np.diff(ticks).max() <= 1.0
