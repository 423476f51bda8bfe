"""Work in another thread, a little ahead of or behind the one that asks, in order and with bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Spans:
    """Stretches of time in which something goes on."""

    def __init__(self) -> None:
        self._inside = 0.0
        self._first: float | None = None
        self._last = 0.0

    @contextmanager
    def span(self) -> Iterator[None]:
        """Count what is done inside."""
        start = time.perf_counter()
        self._first = start if self._first is None else self._first
        try:
            yield
        finally:
            self._last = time.perf_counter()
            self._inside += self._last - start

    @property
    def gaps(self) -> float:
        """Share of the time, from the first to the last, that lies between them."""
        whole = self._last - (self._first or 0.0)
        return 0.0 if self._first is None or not whole else max(0.0, 1 - self._inside / whole)


@contextmanager
def worker() -> Iterator[Executor]:
    """Start one thread; when left early, what has begun is ended and the rest is dropped."""
    executor = ThreadPoolExecutor(max_workers=1)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def ahead(executor: Executor, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Map like ``map``, but while one result is being used the next is already worked on.

    Only one: images are large, and reading further ahead would not be faster.
    """
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > 1:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
