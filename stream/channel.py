"""Channel: a bounded hand-over of frames from one thread to another.

    put ──► [ · · · ] ──► get         blocking: `put` waits while it is full; nothing is lost
    put ──► [   ·   ] ──► get         leaky: `put` never waits; the oldest makes room and is counted

Whoever closes it wakes everybody: the end of the stream, an error and a stop are all a `close`.
It starts no thread and knows nothing of what it carries. The sessions join their threads by it.
"""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from stream.errors import Closed

T = TypeVar("T")


class Channel(Generic[T]):
    """A bounded first-in first-out queue between threads that can be closed.

    Thread-safe. `close` may also be called from a signal handler: the lock is re-entrant, and
    every wait looks again at what it waits for.

    Args:
        capacity: The most items that wait in it, 1 or more.
        leaky: Let `put` push the oldest item out instead of waiting; with a capacity of 1 the
            reader always gets the newest.

    Raises:
        ValueError: `capacity` is less than 1.
    """

    def __init__(self, capacity: int, *, leaky: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"got capacity={capacity}, expected 1 or more")
        self._capacity = capacity
        self._leaky = leaky
        self._items: deque[T] = deque()
        self._closed = False
        self._dropped = 0
        # The bare lock is what `with` holds: a KeyboardInterrupt cannot fall between taking it
        # and being bound to give it back, as it can in Condition.__enter__ (Python code).
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def dropped(self) -> int:
        """Items that were put and never got: pushed out, or discarded by `close`."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Hand over one item; wait for room unless the channel is leaky.

        Raises:
            Closed: The channel is closed, or was closed while this waited; `item` was not taken.
        """
        with self._lock:
            while not self._closed and len(self._items) >= self._capacity and not self._leaky:
                self._changed.wait()
            if self._closed:
                raise Closed("the channel is closed and takes nothing more")
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises:
            Closed: The channel is closed and empty, or became so while this waited.
        """
        with self._lock:
            while not self._items:
                if self._closed:
                    raise Closed("the channel is closed and has nothing left to give")
                self._changed.wait()
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def poll(self) -> T | None:
        """Take the oldest item if there is one now; ``None`` otherwise. Never waits."""
        with self._lock:
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, discard: bool = False) -> None:
        """Take nothing more and wake everybody who waits. May be called again.

        Args:
            discard: Also drop what waits, so that the reader ends at once.
        """
        with self._lock:
            self._closed = True
            if discard:
                self._dropped += len(self._items)
                self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the channel is closed and empty."""
        while True:
            try:
                item = self.get()
            except Closed:
                return
            yield item
