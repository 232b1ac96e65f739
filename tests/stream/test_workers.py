"""run_workers: the body runs among its threads, and whatever happens all are woken and awaited."""

import threading

import pytest
from fakes import LIMIT_S

from stream.workers import Failures, Worker, run_workers


class Crew:
    """Two threads that work until they are told to end, and what was done in order."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.over = threading.Event()
        self.done: list[str] = []
        self.workers = [
            Worker(name, [lambda: self.over.wait(LIMIT_S)], self.failures, LIMIT_S)
            for name in ("one", "other")
        ]

    def shut_down(self) -> None:
        self.done.append("shut down")
        self.over.set()
        for worker in self.workers:
            worker.join()

    def run(self, *errors: BaseException, at_end: list[BaseException] | None = None) -> None:
        """Run with a body that raises, and a shut-down that does so the first times."""
        at_end = at_end or []

        def body() -> None:
            self.done.append("body")
            for error in errors:
                raise error

        def shut_down() -> None:
            if at_end:
                raise at_end.pop(0)
            self.shut_down()

        run_workers(self.workers, body, shut_down, self.failures)


@pytest.fixture
def crew() -> Crew:
    return Crew()


def test_the_body_runs_and_the_threads_end(crew: Crew) -> None:
    crew.run()
    assert crew.done == ["body", "shut down"]
    crew.failures.raise_first()


def test_a_body_that_fails_is_told_after_all_have_ended(crew: Crew) -> None:
    crew.run(ValueError("broken"))
    assert crew.done == ["body", "shut down"]
    with pytest.raises(ValueError, match="broken"):
        crew.failures.raise_first()


def test_one_ctrl_c_still_ends_everything_properly(crew: Crew) -> None:
    crew.run(at_end=[KeyboardInterrupt()])
    assert crew.done == ["body", "shut down"]
    with pytest.raises(KeyboardInterrupt):
        crew.failures.raise_first()


def test_a_second_ctrl_c_leaves_at_once(crew: Crew) -> None:
    with pytest.raises(KeyboardInterrupt):
        crew.run(KeyboardInterrupt(), at_end=[KeyboardInterrupt()])
    assert crew.done == ["body"]
    crew.shut_down()


def test_a_thread_that_does_not_end_is_named(crew: Crew) -> None:
    hanging = Worker("stuck", [lambda: crew.over.wait(LIMIT_S)], crew.failures, 0.01)
    hanging.start()
    hanging.join()
    assert crew.failures.failed
    with pytest.raises(Exception, match=r"the stuck thread did not end within 0\.01 s"):
        crew.failures.raise_first()
    crew.over.set()


def test_what_a_thread_that_cannot_start_would_have_closed_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "writer":
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    crew = Crew()
    steps = [lambda: crew.done.append("write"), lambda: crew.done.append("close")]
    crew.workers.append(Worker("writer", steps, crew.failures, LIMIT_S))
    crew.run()
    assert crew.done == ["shut down", "close"]
    with pytest.raises(RuntimeError, match="can't start"):
        crew.failures.raise_first()
