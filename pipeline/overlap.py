"""Work in another thread, a little ahead of or behind the one that asks, in order and with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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

    Only one: pictures are large, and reading further ahead would not be faster.
    """
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > 1:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
