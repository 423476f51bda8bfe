"""A pool of workers, each an actor of Ray: calls go out, results and deaths come back, dead workers are replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.batch.job import Job, ObjectJob
from pipeline.batch.settings import RestoreSettings
from pipeline.cluster.ray_session import import_ray
from pipeline.cluster.shares import Shares
from pipeline.cluster.worker import RestoreWorker
from pipeline.errors import RestorationError

_CALLS = 2  # in flight for each worker: one is computed, the other read or written
_WAIT = 1.0  # seconds until the caller is given a chance to do something else
_MOST_FAILED_STARTS = 3


@dataclass(eq=False)
class Task:
    """A call for a worker.

    Attributes:
        job: What it is about.
        method: The name of a method of ``RestoreWorker``.
        arguments: What it is called with.
        deaths: Why workers died during it.
    """

    job: Job | ObjectJob
    method: str
    arguments: tuple[Any, ...]
    deaths: list[str] = field(default_factory=list)


class Death(NamedTuple):
    """The worker of a call died, with its machine or alone."""

    why: str


@dataclass(eq=False)
class Worker:
    """A worker that has started, or is about to.

    Attributes:
        actor: Its handle.
        name: Its machine and process; empty until it has started.
        tasks: What it has been given and not finished.
        alone: It has a task that nothing else may share the process with.
    """

    actor: Any
    name: str = ""
    tasks: list[Task] = field(default_factory=list)
    alone: bool = False

    @property
    def has_room(self) -> bool:
        """Whether it can be given another task."""
        return bool(self.name) and not self.alone and len(self.tasks) < _CALLS


class WorkerPool:
    """Starts workers and replaces those that die.

    Args:
        shares: How many there are, and what each gets.
        settings: How they restore.
    """

    def __init__(self, shares: Shares, settings: RestoreSettings) -> None:
        self._ray = import_ray()
        self._make = (
            self._ray.remote(RestoreWorker)
            .options(num_cpus=shares.cpus, num_gpus=shares.gpus, max_concurrency=_CALLS)
            .remote
        )
        self._arguments = (settings, os.getcwd(), shares.cpus)  # noqa: PTH109  (it is sent as text)
        self._calls: dict[Any, tuple[Worker, Task | None]] = {}  # without a task: it is starting
        self._failed_starts = 0
        self.workers: list[Worker] = []
        for _ in range(shares.workers):
            self._start()

    @property
    def busy(self) -> bool:
        """Whether there are tasks that are not finished."""
        return any(task is not None for _, task in self._calls.values())

    def submit(self, worker: Worker, task: Task, *, alone: bool = False) -> None:
        """Give a worker that has room a task, or one that is idle a task for it alone."""
        worker.tasks.append(task)
        worker.alone = alone
        self._calls[getattr(worker.actor, task.method).remote(*task.arguments)] = (worker, task)

    def finished(self) -> Iterator[tuple[Task, Any | Death]]:
        """Yield what has been finished; wait up to a second for the first.

        Raises:
            Exception: what was raised in a worker.
            RestorationError: if workers die as soon as they start.
        """
        self._ray.wait(list(self._calls), num_returns=1, timeout=_WAIT)
        ready, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        for call in ready:
            worker, task = self._calls.pop(call)
            outcome = self._outcome(call)
            if isinstance(outcome, Death):
                self._replace(worker, outcome)
            if task is None:
                worker.name = "" if isinstance(outcome, Death) else outcome
                continue
            worker.tasks.remove(task)
            worker.alone = False
            yield task, outcome

    def stop(self) -> list[Task]:
        """End all workers; return what they have not finished."""
        for worker in self.workers:
            self._ray.kill(worker.actor)
        if self._calls:  # only when they are gone do they write nothing more
            self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=10 * _WAIT)
        left = [task for _, task in self._calls.values() if task is not None]
        self._calls.clear()
        self.workers.clear()
        return left

    def _start(self) -> None:
        worker = Worker(self._make(*self._arguments))
        self.workers.append(worker)
        self._calls[worker.actor.start.remote()] = (worker, None)

    def _outcome(self, call: Any) -> Any | Death:
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except self._ray.exceptions.RayError as error:
            return Death(_reason(str(error)))

    def _replace(self, worker: Worker, death: Death) -> None:
        """Start another worker, unless that has been done: each call of a dead one brings the message."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        self._ray.kill(worker.actor)
        self._failed_starts = 0 if worker.name else self._failed_starts + 1
        if self._failed_starts > _MOST_FAILED_STARTS:
            raise RestorationError(f"no worker starts: {death.why}")
        self._start()


def _reason(text: str) -> str:
    """Return what Ray says of a dead worker, without the advice that follows."""
    detail = re.search(r"exit detail: (.*?)(?: Some common causes| *$)", text, re.DOTALL)
    return " ".join((detail[1] if detail else text).split()).removesuffix(".")
