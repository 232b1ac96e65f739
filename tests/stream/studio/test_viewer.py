"""What a page is sent: the newest, no more than it draws, smaller where its link is slow."""

from fractions import Fraction

from fakes import LIMIT_S
from studios import plain

from stream.clock import ManualClock
from stream.frame import Frame
from stream.stats import Stats
from stream.studio.protocol import AT_REST, HEADER, TIMES
from stream.studio.viewer import (
    BITS_PER_S,
    QUALITIES,
    BrowserSink,
    Credit,
    QualityLadder,
    Viewer,
    steps_for,
)
from stream.workers import Failures, Worker


def frame(mark: int) -> Frame:
    return Frame(plain((mark, 0, 0)), mark, Fraction(1, 24), mark=mark)


def make(clock: ManualClock, sent: list[bytes], flags: int = 0) -> BrowserSink:
    return BrowserSink(
        sent.append, clock=clock, flags_of=lambda _: flags, times_of=lambda _: (0.012, 0.034)
    )


def test_a_painting_carries_its_mark_its_times_and_its_flags() -> None:
    clock, sent = ManualClock(), []
    sink = make(clock, sent, AT_REST)
    clock.advance(0.5)
    sink.write(frame(7))
    kind, flags, extra, id_, _ = HEADER.unpack_from(sent[0])
    assert (kind, flags, extra, id_) == (1, AT_REST, 6, 7)
    assert TIMES.unpack_from(sent[0], HEADER.size) == (12, 34, 500)


def test_a_picture_that_stands_is_sent_once() -> None:
    sent: list[bytes] = []
    sink = make(ManualClock(), sent)
    frozen = frame(1)
    sink.write(frozen)
    sink.write(frozen.replace(frozen.data, pts=2))
    assert len(sent) == 1 and not sink.took_last


def test_a_page_that_draws_nothing_is_sent_two_and_then_the_newest() -> None:
    clock, sent = ManualClock(), []
    sink = make(clock, sent)
    viewer = Viewer("browser", sink, clock=clock, stats=Stats(clock=clock))
    failures = Failures()
    worker = Worker("viewer", [viewer.run], failures, LIMIT_S)
    worker.start()
    marks = []
    for mark in range(1, 60):
        viewer.outlet.channel.put(frame(mark))
    while len(sent) < 2:  # whichever two it took
        viewer.outlet.channel.put(frame(60))
    viewer.outlet.channel.put(frame(99))
    viewer.acknowledge()
    viewer.acknowledge()
    while 99 not in marks:
        marks = [HEADER.unpack_from(message)[3] for message in sent]
    assert len(sent) == 3
    viewer.close()
    worker.join()
    failures.raise_first()


def test_credit_wakes_whoever_waits_when_it_is_closed() -> None:
    credit = Credit(1)
    assert credit.take()
    results: list[bool] = []
    worker = Worker("waiter", [lambda: results.append(credit.take())], Failures(), LIMIT_S)
    worker.start()
    credit.close()
    worker.join()
    assert results == [False]


def test_a_slow_link_is_sent_smaller_files_until_it_has_room() -> None:
    ladder, now_s = QualityLadder(steps_for(("jpeg",))), 0.0

    def run(seconds: float, waited_share: float) -> None:
        nonlocal now_s
        end_s = now_s + seconds
        while now_s < end_s:
            now_s += 0.1
            ladder.observe(0.1 * waited_share, now_s)

    assert ladder.step.quality == QUALITIES[0]
    run(3.3, 0.9)
    assert ladder.step.quality == QUALITIES[1]
    run(20, 0.9)
    assert ladder.step.quality == QUALITIES[-1]
    run(10.5, 0.3)
    assert ladder.step.quality == QUALITIES[-1]  # neither short nor with room
    run(21.0, 0.0)
    assert ladder.step.quality > QUALITIES[-1]
    run(60, 0.0)
    assert ladder.step.quality == QUALITIES[0]


def test_a_step_up_that_a_link_did_not_bear_is_tried_less_often() -> None:
    ladder, now_s, ups = QualityLadder(steps_for(("jpeg", "h264"))), 0.0, 0
    best = ladder.step
    while now_s < 300.0:
        now_s += 0.1
        before = ladder.step
        ladder.observe(0.09 if ladder.step == best else 0.0, now_s)
        ups += ladder.step == best and before != best
    assert 2 <= ups <= 6  # every ten seconds it would be 23
    assert [step.bits_per_s for step in steps_for(("jpeg", "h264"))[2:]] == list(BITS_PER_S)
