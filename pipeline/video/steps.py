"""Steps that run side by side, each in a thread of its own, with a bounded queue between two of them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass
class Load:
    """How a step spent its time.

    Attributes:
        busy: Seconds of work on its own.
        starved: Seconds of waiting for what it works on.
        blocked: Seconds of waiting until somebody takes what it made.
    """

    busy: float = 0.0
    starved: float = 0.0
    blocked: float = 0.0

    @property
    def waiting(self) -> float:
        """Return the share of its time in which it waited."""
        total = self.busy + self.starved + self.blocked
        return (self.starved + self.blocked) / total if total else 0.0


class Waiting(Generic[Item]):
    """Iterates over what another step makes, and counts how long that takes."""

    def __init__(self, items: Iterable[Item], load: Load) -> None:
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


class _End:
    """What stands in the queue behind the last item."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def side_by_side(items: Iterable[Item], ahead: int, load: Load) -> Generator[Item, None, None]:
    """Take items in another thread, up to ``ahead`` of them before they are asked for.

    An error there is raised here. When this is left early, the thread ends with what it is at.

    Args:
        items: Whatever it takes to make one is done in the thread.
        ahead: Size of the queue.
        load: Of the step in the thread; what it is ``starved`` of, ``items`` has to count itself (``Waiting``).
    """
    ready: queue.Queue[Item | _End] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        started = time.perf_counter()
        try:
            while not stopped.is_set():
                try:
                    ready.put(item, timeout=0.1)
                except queue.Full:
                    continue
                return True
            return False
        finally:
            load.blocked += time.perf_counter() - started

    def run() -> None:
        iterator = iter(items)
        try:
            while True:
                started, starved = time.perf_counter(), load.starved
                try:
                    item = next(iterator)
                finally:
                    load.busy += time.perf_counter() - started - (load.starved - starved)
                if not put(item):
                    break
        except StopIteration:
            put(_End(None))
        except BaseException as error:
            put(_End(error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()
