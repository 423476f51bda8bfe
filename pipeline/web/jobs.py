"""The queue of jobs: one engine, one job at a time, visitors in turn."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.batch.record import Record
from pipeline.errors import RestorationError, one_line
from pipeline.html_report.previews import View
from pipeline.web.chains import Settings

State = Literal["waiting", "running", "done", "failed", "cancelled"]
LONGEST_QUEUE = 100


class Cancelled(BaseException):
    """A visitor does not want the result any more; no ``Exception``, so that no file's error handling keeps it."""


class QueueFull(RestorationError):  # noqa: N818
    """Too many jobs wait already."""


@dataclass
class Job:
    """One file to restore, or a part of it.

    Attributes:
        kind: ``preview`` restores a part of an image.
        visitor: Whose it is; visitors are served in turn.
        source: The file.
        folder: For all that it makes.
        centre: Of the part, as shares of width and height.
        turn: Jobs of a lower one come first; each visitor has one in every turn.
        share: How much is done.
        pixels: Of the file, as its header says.
        record: What became of it.
        views: Input, every stage and result, as small WebP files.
        output: The restored file; None for a part.
    """

    kind: Literal["restore", "preview"]
    visitor: str
    source: Path
    folder: Path
    settings: Settings
    centre: tuple[float, float] = (0.5, 0.5)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "waiting"
    turn: int = 0
    share: float = 0.0
    started: float = 0.0
    error: str | None = None
    pixels: int = 0
    record: Record | None = None
    views: list[View] = field(default_factory=list)
    output: Path | None = None
    cancelled: bool = False

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    @property
    def seconds_left(self) -> float | None:
        """By what was done so far; None before anything was."""
        if self.state != "running" or self.share < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.share) / self.share

    def watch(self, share: float) -> None:
        """Take the share that is done.

        Raises:
            Cancelled: if the job was cancelled.
        """
        if self.cancelled:
            raise Cancelled
        self.share = share

    def discard(self) -> None:
        """Cancel it; whoever runs it deletes the folder at the end."""
        self.cancelled = True
        if self.state != "running":
            self.state = "cancelled"
            shutil.rmtree(self.folder, ignore_errors=True)


class JobQueue:
    """Runs jobs in one thread, the first of each visitor before the second of any.

    Args:
        work: Does a job; may raise ``Cancelled``.
        spare: Done one by one, first to last, while no job waits.
        rest: Called when all of that, or the last job, is done.
    """

    def __init__(
        self,
        work: Callable[[Job], None],
        spare: Iterable[Callable[[], object]] = (),
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._spare = deque([*spare, rest])
        self._rest = rest
        self._waiting: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._running: Job | None = None
        self._turn = 0
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> None:
        """Append a job.

        Raises:
            QueueFull: if too many wait already.
        """
        with self._changed:
            if len(self._waiting) >= LONGEST_QUEUE:
                raise QueueFull(f"{LONGEST_QUEUE} files are waiting already; try again later")
            self._waiting.append(job)
            own = [other.turn for other in (*self._waiting, self._running) if other and other.visitor == job.visitor]
            job.turn = max(self._turn, *own) + 1
            self._changed.notify_all()

    def place(self, job: Job) -> int:
        """Return how many jobs will be done before this one, that which runs included."""
        with self._changed:
            order = self._in_turn()
            running = self._running is not None
            return order.index(job) + running if job in order else 0

    def rest(self) -> None:
        """Have ``rest`` called as soon as no job waits."""
        with self._changed:
            if self._rest not in self._spare:
                self._spare.append(self._rest)
            self._changed.notify_all()

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._changed:
            self._closed = True
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                job.cancelled = True
            self._changed.notify_all()
        self._thread.join(timeout=60)

    def _in_turn(self) -> list[Job]:
        """Return what waits in the order in which it will be done."""
        self._waiting = [job for job in self._waiting if not job.cancelled]
        return sorted(self._waiting, key=lambda job: job.turn)

    def _run(self) -> None:
        while not self._closed:
            if (job := self._next()) is not None:
                self._do(job)
                with self._changed:
                    self._running = None
                self.rest()
            elif self._spare:
                with suppress(Exception):  # the job that needs it will report why
                    self._spare.popleft()()

    def _next(self) -> Job | None:
        """Return the next job; wait for one unless there is something else to do."""
        with self._changed:
            while not (order := self._in_turn()) and not self._spare and not self._closed:
                self._changed.wait()
            if not order or self._closed:
                return None
            self._running, self._turn = order[0], order[0].turn
            self._waiting.remove(order[0])
            return self._running

    def _do(self, job: Job) -> None:
        """Do one job; no error in it ends the queue."""
        job.state, job.started = "running", time.monotonic()
        try:
            self._work(job)
            job.state = "failed" if job.error else "done"
        except Cancelled:
            job.state = "cancelled"
        except Exception as error:
            job.state, job.error = "failed", one_line(error)
        if job.cancelled:
            job.state = "cancelled"
            shutil.rmtree(job.folder, ignore_errors=True)
