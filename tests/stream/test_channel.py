"""Channel: what is kept, what is dropped, and who is woken."""

import threading
from collections.abc import Callable

import pytest

from stream.channel import Channel
from stream.errors import Closed

LIMIT_S = 600
"""Far longer than anything here takes; a test that waits this long has found a hang."""


def in_thread(step: Callable[[], object]) -> Callable[[], list[object]]:
    """Run a step in a thread; the returned function joins it and gives what came of it."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(step())
        except Closed as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> list[object]:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        return outcome

    return join


def wait_for_waiter(channel: Channel[int]) -> None:
    """Return when a thread waits inside the channel (it gave the lock back to do so)."""
    while not channel._changed._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)


def test_blocking_channel_keeps_the_order() -> None:
    channel: Channel[int] = Channel(3)
    for item in range(3):
        channel.put(item)

    assert [channel.get() for _ in range(3)] == [0, 1, 2]
    assert channel.dropped == 0


def test_blocking_put_waits_for_room() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    join = in_thread(lambda: channel.put(2))
    wait_for_waiter(channel)

    assert len(channel) == 1
    assert channel.get() == 1
    assert join() == [None]
    assert channel.get() == 2


def test_get_waits_for_an_item() -> None:
    channel: Channel[int] = Channel(1)
    join = in_thread(channel.get)
    wait_for_waiter(channel)

    channel.put(7)

    assert join() == [7]


def test_leaky_channel_keeps_newest() -> None:
    channel: Channel[int] = Channel(1, leaky=True)
    for item in range(5):
        channel.put(item)

    assert len(channel) == 1
    assert channel.get() == 4
    assert channel.dropped == 4


def test_leaky_channel_of_two_drops_the_oldest() -> None:
    channel: Channel[int] = Channel(2, leaky=True)
    for item in range(5):
        channel.put(item)

    assert [channel.get(), channel.get()] == [3, 4]


def test_closed_channel_drains_then_raises() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(1)
    channel.put(2)

    channel.close()

    assert list(channel) == [1, 2]
    with pytest.raises(Closed):
        channel.get()
    assert channel.dropped == 0


@pytest.mark.parametrize("leaky", [False, True])
def test_put_after_close_raises_at_once(leaky: bool) -> None:
    channel: Channel[int] = Channel(1, leaky=leaky)
    channel.put(1)
    channel.close()

    with pytest.raises(Closed):
        channel.put(2)
    assert list(channel) == [1]


def test_close_with_discard_drops_and_counts_what_waits() -> None:
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.put(2)

    channel.close(discard=True)

    assert list(channel) == []
    assert channel.dropped == 2


def test_close_may_be_repeated_and_discard_later() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    channel.close()
    channel.close()
    assert len(channel) == 1

    channel.close(discard=True)
    channel.close(discard=True)

    assert (len(channel), channel.dropped) == (0, 1)


@pytest.mark.parametrize("discard", [False, True])
def test_close_wakes_a_waiting_put(discard: bool) -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    join = in_thread(lambda: channel.put(2))
    wait_for_waiter(channel)

    channel.close(discard=discard)

    assert isinstance(join()[0], Closed)
    assert list(channel) == ([] if discard else [1])


def test_close_wakes_every_waiting_get() -> None:
    channel: Channel[int] = Channel(1)
    joins = [in_thread(channel.get) for _ in range(3)]
    for _ in joins:
        wait_for_waiter(channel)

    channel.close()

    assert all(isinstance(join()[0], Closed) for join in joins)


def test_iteration_ends_when_another_thread_closes() -> None:
    channel: Channel[int] = Channel(2)
    join = in_thread(lambda: list(channel))
    for item in range(5):
        channel.put(item)

    channel.close()

    assert join() == [[0, 1, 2, 3, 4]]


def test_close_inside_the_lock_of_the_same_thread_does_not_hang() -> None:
    """A signal handler may run `close` while its thread is inside the channel."""
    channel: Channel[int] = Channel(1)

    with channel._lock:
        channel.close()

    assert channel.closed


def test_many_threads_lose_and_double_nothing() -> None:
    channel: Channel[int] = Channel(2)
    readers = [in_thread(lambda: list(channel)) for _ in range(3)]

    def put_all(first: int) -> None:
        for item in range(first, first + 200):
            channel.put(item)

    writers = [in_thread(lambda first=first: put_all(first)) for first in (0, 200, 400)]
    for join in writers:
        join()
    channel.close()

    got = [join()[0] for join in readers]
    assert sorted(item for part in got for item in part) == list(range(600))


def test_no_more_than_the_capacity_waits() -> None:
    channel: Channel[int] = Channel(2)
    most = 0

    def put_all() -> None:
        for item in range(100):
            channel.put(item)
        channel.close()

    join = in_thread(put_all)
    for _ in channel:
        most = max(most, len(channel))
    join()

    assert most <= 2


def test_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got capacity=0, expected 1 or more"):
        Channel(0)
