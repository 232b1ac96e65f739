"""A size that the engine is not ready for holds nothing up: it is made beside."""

import threading
from dataclasses import replace

from fakes import LIMIT_S, SizesEngine, make_frames
from live_fakes import make_painter

from models import Style
from stream.clock import ManualClock
from stream.live.controls import Look
from stream.live.live_stylizer import LiveStylizer
from stream.live.size_preparation import SizePreparation

LOOK = Look(Style(), stability=0.0, transition_s=0.0)
FULL, SMALL = (80, 64), (64, 48)
SLOW_S = 0.2


class SlowSizesEngine(SizesEngine):
    """Each painting takes too long, by the clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(FULL)
        self.clock = clock

    def denoise(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.clock.advance(SLOW_S)
        return super().denoise(*args)


def make() -> tuple[LiveStylizer, SlowSizesEngine, threading.Event]:
    clock, prepared = ManualClock(), threading.Event()
    engine = SlowSizesEngine(clock)
    painter = make_painter(engine, clock, governor="effort")
    painter.preparation.then = prepared.set
    return painter, engine, prepared


def test_it_paints_on_at_the_size_before_until_the_other_is_ready() -> None:
    painter, engine, prepared = make()
    frames = make_frames(12)
    for frame in frames[:8]:
        painter.paint(frame, LOOK)
    assert painter.effort.short_side_px < FULL[1]
    assert engine.asked.wait(LIMIT_S)
    assert engine.painted == [FULL] * 8
    engine.made.set()
    assert prepared.wait(LIMIT_S)
    for frame in frames[8:]:
        painter.paint(frame, LOOK)
    assert set(engine.painted[8:]) == {engine.painted[8]} != {FULL}


def test_paintings_at_the_size_before_tell_the_governor_nothing() -> None:
    painter, _, _ = make()
    efforts = set()
    for frame in make_frames(30):
        painter.paint(frame, LOOK)
        efforts.add(painter.effort)
    assert len(efforts) == 2


def test_it_keeps_the_look_before_until_the_other_is_ready() -> None:
    painter, engine, prepared = make()
    painter.paint(make_frames(1)[0], LOOK)
    other = replace(LOOK, style=Style(prompt="stained glass"))
    engine.ready.clear()  # as if all were to be made for these marks
    look = painter._ready_look(other, make_frames(1)[0].size)
    assert look.style == LOOK.style
    engine.made.set()
    assert prepared.wait(LIMIT_S)
    assert painter._ready_look(other, make_frames(1)[0].size) == other


def test_the_first_painting_can_wait_for_its_size_elsewhere() -> None:
    painter, engine, prepared = make()
    frame = make_frames(1)[0]
    assert painter.can_begin(frame.size)
    engine.ready.clear()
    assert not painter.can_begin(frame.size)
    engine.made.set()
    assert prepared.wait(LIMIT_S)
    assert painter.can_begin(frame.size) and painter.can_rest(frame.size, LOOK)


def test_all_that_may_be_asked_for_is_made_one_size_after_the_other() -> None:
    painter, engine, prepared = make()
    size = make_frames(1)[0].size
    engine.made.set()
    asked = 0
    while not painter.prepare_all(size):
        assert prepared.wait(LIMIT_S)
        prepared.clear()
        asked += 1
    assert asked > 1
    assert painter.can_rest(size, LOOK)


def test_a_size_that_cannot_be_made_is_left_to_who_paints_it() -> None:
    engine, prepared = SizesEngine(), threading.Event()

    def fail(*_: object, **__: object):  # type: ignore[no-untyped-def]
        def step() -> None:
            raise RuntimeError("no memory")

        return step

    engine.preparation = fail  # type: ignore[method-assign]
    preparation = SizePreparation(engine)
    preparation.then = prepared.set
    assert not preparation.is_ready(SMALL, None)
    assert prepared.wait(LIMIT_S)
    assert preparation.is_ready(SMALL, None)
