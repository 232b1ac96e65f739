"""Session: whatever breaks, wherever: it ends, leaves no thread, and raises what broke first."""

import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fakes import (
    COUNT,
    LIMIT_S,
    Breaks,
    FakeEngine,
    ListSink,
    ListSource,
    MainThreadSink,
    make_frames,
    make_session,
)

from stream.errors import SinkError, SourceError, StreamError
from stream.frame import Frame
from stream.offline.session import Session
from stream.stylizer.output_frames import Painted
from stream.stylizer.stylizer import Stylizer

SOURCE_BREAKS = [("read", 1), ("read", 6), ("read", COUNT), ("read", COUNT + 1), ("close", 1)]
SINK_BREAKS = [("write", 1), ("write", 6), ("write", COUNT), ("close", 1)]
ENGINE_BREAKS = [
    *((call, 1) for call in ("encode_prompt", "schedule", "noise")),
    *(
        (call, nth)
        for call in ("to_image", "encode", "denoise", "decode", "to_data")
        for nth in (1, 6, COUNT)
    ),
]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("options", [{}, {"look_ahead": True}, {"batch": 4}, {"every": 3}])
def test_what_failed_leaves_nothing_to_the_next_session(options: dict[str, Any]) -> None:
    stylizer = Stylizer(FakeEngine(), stability=0.5, **options)
    sink = ListSink(Breaks("write", 1))
    with pytest.raises(RuntimeError, match="broken"):
        Session(ListSource(make_frames(40)), stylizer, sink, join_limit_s=LIMIT_S).run()

    other, sink = make_frames(5, (80, 48), seed=1), ListSink()
    Session(ListSource(other), stylizer, sink, join_limit_s=LIMIT_S).run()
    assert [frame.size for frame in sink.frames] == [(80, 48)] * 5


def test_after_a_failed_model_nothing_more_is_written() -> None:
    """The first frame is on its way into the sink when the model fails; two more wait."""

    def wait_for_the_failure() -> None:
        while not session._outbox.closed:
            threading.Event().wait(0.01)

    sink = ListSink(on_write=wait_for_the_failure)
    session, _, _ = make_session(engine=FakeEngine(Breaks("decode", 4)), sink=sink)
    with pytest.raises(RuntimeError, match="broken"):
        session.run()
    # where the model is quick, the writer has not come to the first frame either
    assert [frame.pts for frame in sink.frames] in ([0], [])


class Disturbed(Stylizer):
    """Breaks where an engine cannot: at the flush, and where no model has a part in it."""

    def __init__(self, calls: Breaks) -> None:
        super().__init__(FakeEngine())
        self.calls = calls

    def paint(self, frame: Frame | None) -> Painted:
        self.calls("flush" if frame is None else "paint")
        return super().paint(frame)

    def finish(self, painted: Painted) -> Iterable[Frame]:
        self.calls("last finish" if painted.is_end else "finish")
        return super().finish(painted)


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
@pytest.mark.parametrize(("call", "nth"), SOURCE_BREAKS)
def test_source_failure_is_raised_and_the_sink_aborted(
    call: str, nth: int, sink_class: type[ListSink]
) -> None:
    error = SourceError("the cable was pulled")
    source = ListSource(make_frames(COUNT), Breaks(call, nth, error))
    session, _, sink = make_session(source, sink=sink_class())

    with pytest.raises(SourceError) as caught:
        session.run()

    assert caught.value is error
    assert sink.ended == ["abort"]
    assert source.closed == 1


def test_what_was_read_before_a_source_failure_is_painted_and_written() -> None:
    source = ListSource(make_frames(COUNT), Breaks("read", 7))
    session, _, sink = make_session(source)

    with pytest.raises(RuntimeError, match="broken at read 7"):
        session.run()

    assert [frame.pts for frame in sink.frames] == list(range(6))


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
@pytest.mark.parametrize(("call", "nth"), SINK_BREAKS)
def test_sink_failure_is_raised_and_the_source_closed(
    call: str, nth: int, sink_class: type[ListSink]
) -> None:
    error = SinkError("the disk is full")
    sink = sink_class(Breaks(call, nth, error))
    session, source, _ = make_session(sink=sink)

    with pytest.raises(SinkError) as caught:
        session.run()

    assert caught.value is error
    assert sink.ended == (["close"] if call == "close" else ["abort"])
    assert source.closed == 1


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
@pytest.mark.parametrize(("call", "nth"), ENGINE_BREAKS)
def test_engine_failure_is_raised_and_both_ends_let_go(
    call: str, nth: int, sink_class: type[ListSink]
) -> None:
    error = RuntimeError("out of memory")
    session, source, sink = make_session(
        engine=FakeEngine(Breaks(call, nth, error)), sink=sink_class()
    )

    with pytest.raises(RuntimeError) as caught:
        session.run()

    assert caught.value is error
    assert sink.ended == ["abort"]
    assert source.closed == 1


STYLIZER_BREAKS = [
    ("flush", 1), ("paint", COUNT), ("finish", 1), ("finish", COUNT), ("last finish", 1)
]  # fmt: skip


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
@pytest.mark.parametrize(("call", "nth"), STYLIZER_BREAKS)
def test_stylizer_failure_is_raised(call: str, nth: int, sink_class: type[ListSink]) -> None:
    source, sink = ListSource(make_frames(COUNT)), sink_class()

    with pytest.raises(RuntimeError, match=f"broken at {call}"):
        Session(source, Disturbed(Breaks(call, nth)), sink).run()

    assert sink.ended == ["abort"]


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), GeneratorExit()])
def test_errors_that_are_no_exceptions_are_carried_too(error: BaseException) -> None:
    session, _, sink = make_session(ListSource(make_frames(COUNT), Breaks("read", 3, error)))

    with pytest.raises(type(error)) as caught:
        session.run()

    assert caught.value is error
    assert sink.ended == ["abort"]


def test_traceback_leads_to_the_thread_that_failed() -> None:
    session, _, _ = make_session(ListSource(make_frames(COUNT), Breaks("read", 3)))

    with pytest.raises(RuntimeError) as caught:
        session.run()

    assert "read" in [frame.name for frame in traceback.extract_tb(caught.tb)]


def test_failure_of_the_clean_up_does_not_hide_the_first_one() -> None:
    sink = ListSink(Breaks("abort", 1, SinkError("cannot remove the file")))
    session, _, _ = make_session(engine=FakeEngine(Breaks("denoise", 3)), sink=sink)

    with pytest.raises(RuntimeError, match="broken at denoise 3") as caught:
        session.run()

    assert any("cannot remove the file" in note for note in caught.value.__notes__)


def test_callback_failure_ends_the_session() -> None:
    def fail(frame: Frame) -> None:
        raise KeyError("progress")

    session, _, sink = make_session(on_frame=fail)

    with pytest.raises(KeyError, match="progress"):
        session.run()

    assert sink.ended == ["abort"]


def test_thread_that_does_not_end_is_named() -> None:
    release = threading.Event()
    reading = threading.Event()

    def hang() -> None:
        reading.set()
        release.wait(LIMIT_S)

    source = ListSource(make_frames(COUNT), before_read=hang)
    session = Session(source, Stylizer(FakeEngine()), ListSink(), join_limit_s=0.05)
    stopper = threading.Thread(target=lambda: (reading.wait(LIMIT_S), session.stop()))
    stopper.start()

    with pytest.raises(StreamError, match="capture thread did not end"):
        session.run()

    release.set()
    stopper.join()
    for thread in threading.enumerate():
        if thread.name == "capture":
            thread.join(LIMIT_S)
