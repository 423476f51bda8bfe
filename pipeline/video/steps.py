"""Run the steps of a pipeline in threads, with a bounded queue between two of them, and time them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass
class StepLoad:
    """How a step spent its time.

    Attributes:
        busy: Seconds of work.
        starved: Seconds of waiting for input.
        blocked: Seconds of waiting for space in the output queue.
    """

    busy: float = 0.0
    starved: float = 0.0
    blocked: float = 0.0

    def add(self, other: StepLoad) -> None:
        """Add the time of the same step elsewhere."""
        self.busy += other.busy
        self.starved += other.starved
        self.blocked += other.blocked

    @property
    def waiting(self) -> float:
        """Share of the time in which the step waited."""
        total = self.busy + self.starved + self.blocked
        return (self.starved + self.blocked) / total if total else 0.0


class TimedIterator(Generic[Item]):
    """Iterates over the output of another step, and adds the waiting time to a load as ``starved``."""

    def __init__(self, items: Iterable[Item], load: StepLoad) -> None:
        self._items = iter(items)
        self._load = load

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        started = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self._load.starved += time.perf_counter() - started


class _EndOfItems:
    """The last entry of a queue; ``error`` ended the items early."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Producer(Generic[Item]):
    """Puts items into a bounded queue, in a thread, until it is stopped."""

    def __init__(self, items: Iterable[Item], ahead: int, load: StepLoad) -> None:
        self.ready: queue.Queue[Item | _EndOfItems] = queue.Queue(ahead)
        self.stopped = threading.Event()
        self._items = items
        self._load = load

    def run(self) -> None:
        iterator = iter(self._items)
        try:
            while self._put(self._next(iterator)):
                pass
        except StopIteration:
            self._put(_EndOfItems(None))
        except BaseException as error:
            self._put(_EndOfItems(error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    def _next(self, iterator: Iterator[Item]) -> Item:
        started, starved = time.perf_counter(), self._load.starved
        try:
            return next(iterator)
        finally:
            self._load.busy += time.perf_counter() - started - (self._load.starved - starved)

    def _put(self, item: Item | _EndOfItems) -> bool:
        """Return whether there was space before the end."""
        started = time.perf_counter()
        try:
            while not self.stopped.is_set():
                with suppress(queue.Full):
                    self.ready.put(item, timeout=0.1)
                    return True
            return False
        finally:
            self._load.blocked += time.perf_counter() - started


def in_background(items: Iterable[Item], ahead: int, load: StepLoad) -> Generator[Item, None, None]:
    """Iterate over ``items`` in a background thread, up to ``ahead`` of them before they are requested.

    An error in the thread is raised here. If this generator is closed early, the thread ends after its current item.

    Args:
        items: Consumed in the thread, including all work to produce them.
        ahead: Size of the queue.
        load: Receives the times of the step in the thread; ``starved`` is left to ``items`` (``TimedIterator``).
    """
    producer = _Producer(items, ahead, load)
    thread = threading.Thread(target=producer.run, daemon=True)
    thread.start()
    try:
        while not isinstance(item := producer.ready.get(), _EndOfItems):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        producer.stopped.set()
        thread.join()
