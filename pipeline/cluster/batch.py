"""A batch over workers: one process plans, records and renames; the workers read, compute and write.

A call that fails with its worker is made again: by another worker, and with nothing else in that process, so that an
input which kills workers takes no other with it. After three deaths it is given up, and the rest goes on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from pipeline.batch.final_step import FinalStep, Listener, Recorder
from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.job_kind import Watch
from pipeline.batch.job_steps import Steps, Work
from pipeline.batch.record import Record
from pipeline.batch.runner import Inputs, Report, unwatched
from pipeline.batch.settings import RestoreSettings
from pipeline.cluster.pool import Death, Task, Worker, WorkerPool
from pipeline.cluster.ray_session import ray_session
from pipeline.cluster.video_parts import SplitVideo, VideoPart

_TRIES = 3


@contextmanager
def cluster_batch(
    settings: RestoreSettings,
    run_log: Recorder,
    workers: int | Literal["auto"],
    address: str | None,
    *,
    listener: Listener | None = None,
) -> Iterator[ClusterBatch]:
    """Start workers, and hand out the batch over them.

    Args:
        settings: How files are restored.
        run_log: What was done before, and where this run is recorded.
        workers: How many; ``auto`` for one for each GPU, or else for each core.
        address: Of a running Ray cluster; None for workers on this machine.
        listener: Is given every input once its record is final.

    Raises:
        ConfigError: if the settings or the number of workers cannot be, or Ray is missing or does not answer.
    """
    steps = settings.make_steps()
    with ray_session(address, workers, settings.engine.get("device", "auto")) as shares:
        yield ClusterBatch(steps, run_log, WorkerPool(shares, settings), listener=listener)


class ClusterBatch:
    """Restores files by workers and records each; a ``BatchRunner``.

    Args:
        steps: Those of the workers; here they only begin the records.
        run_log: What was done before, and where this run is recorded.
        pool: The workers; ended with the run.
        listener: Is given every input once its record is final.

    Attributes:
        observe: Is given the workers with their tasks, about once a second at least.
    """

    def __init__(self, steps: Steps, run_log: Recorder, pool: WorkerPool, *, listener: Listener | None = None) -> None:
        self.output = steps.output
        self.run_log = run_log
        self.observe: Callable[[Sequence[Worker]], None] = lambda workers: None
        self._steps = steps
        self._pool = pool
        self._final = FinalStep(steps.kinds, run_log, listener)
        self._suspects: deque[Task] = deque()
        self._parts: deque[Task] = deque()
        self._videos: dict[Job | ObjectJob, RunningVideo] = {}
        self._computed = 0.0  # seconds of all workers
        self._worker_seconds = 0.0

    def run(self, inputs: Inputs, report: Report, watch: Watch = unwatched) -> None:
        """Restore all files in the order in which workers finish them; ``watch`` is called after every segment."""
        fresh = self._tasks(inputs, report)
        try:
            while self._assign(fresh) or self._pool.busy:
                self.observe(self._pool.workers)
                started, workers = time.perf_counter(), len(self._pool.workers)
                for task, outcome in self._pool.finished():
                    self._take(task, outcome, report, watch)
                self._worker_seconds += workers * (time.perf_counter() - started)
        finally:
            for task in self._pool.stop():
                self._final.discard(task.job)

    @property
    def waiting(self) -> float:
        """Share of the workers' time in which they did not compute."""
        return max(0.0, 1 - self._computed / self._worker_seconds) if self._worker_seconds else 0.0

    def _tasks(self, inputs: Inputs, report: Report) -> Iterator[Task]:
        for found in inputs:
            record = self._steps.record_of(found)
            if isinstance(found, LeftOut):
                report(self._final.finish(record))
            else:
                yield Task(found, "restore", (found, self.run_log.earlier(record.output)))

    def _assign(self, fresh: Iterator[Task]) -> bool:
        """Give tasks to workers; return whether there are more."""
        while self._suspects and (worker := _freest(self._pool.workers)) is not None and not worker.tasks:
            self._pool.submit(worker, self._suspects.popleft(), alone=True)
        while not self._suspects and (worker := _freest(self._pool.workers)) is not None:
            if (task := self._parts.popleft() if self._parts else next(fresh, None)) is None:
                return False
            self._pool.submit(worker, task)
        return True

    def _take(self, task: Task, outcome: Any, report: Report, watch: Watch) -> None:
        if isinstance(outcome, Death):
            task.deaths.append(outcome.why)
            if len(task.deaths) < _TRIES:
                self._suspects.append(task)
                return
            outcome = self._given_up(task)
        if isinstance(outcome, SplitVideo):
            self._begin_video(task.job, outcome)
        elif isinstance(outcome, VideoPart):
            self._continue_video(task.job, outcome, watch)
        else:
            self._finish(task, outcome, report)

    def _finish(self, task: Task, outcome: Work | Record, report: Report) -> None:
        """Record an input; of a video, no other segment is restored any more."""
        video = self._videos.pop(task.job, None)
        if video is None and task.method == "restore_part":
            return  # another segment has failed before
        if video is not None:
            self._parts = deque(part for part in self._parts if part.job != task.job)
            self._suspects = deque(part for part in self._suspects if part.job != task.job)
        record = self._final.finish(outcome)
        self._computed += sum(record.stage_seconds.values())
        report(record)

    def _begin_video(self, job: Job | ObjectJob, split: SplitVideo) -> None:
        self._videos[job] = RunningVideo(split)
        self._parts.extend(Task(job, "restore_part", (job, split.record, *missing)) for missing in split.missing)

    def _continue_video(self, job: Job | ObjectJob, part: VideoPart, watch: Watch) -> None:
        video = self._videos.get(job)
        if video is None:
            return  # another segment has failed before
        video.add(part)
        assert isinstance(job, Job)
        watch(job, video.progress)
        if len(video.parts) == len(video.split.missing):
            self._parts.append(Task(job, "join_parts", (job, video.split, video.parts)))

    def _given_up(self, task: Task) -> Record:
        self._final.discard(task.job)
        reasons = "; ".join(dict.fromkeys(task.deaths))
        text = f"its worker process died {len(task.deaths)} times ({reasons}); memory may be too small, or the file bad"
        return replace(self._steps.record_of(task.job), status="failed", error=text)


class RunningVideo:
    """A video whose segments are being restored."""

    def __init__(self, split: SplitVideo) -> None:
        from pipeline.video.progress import VideoProgress

        self.split = split
        self.parts: list[VideoPart] = []
        self.progress = VideoProgress(split.total, split.resumed)

    def add(self, part: VideoPart) -> None:
        """Count a segment."""
        self.parts.append(part)
        self.progress.frames += part.frames
        self.progress.fresh += part.frames
        for name, load in part.loads.items():
            self.progress.loads[name].add(load)


def _freest(workers: Sequence[Worker]) -> Worker | None:
    """Return the worker with the fewest tasks among those that have room."""
    return min((worker for worker in workers if worker.has_room), key=lambda worker: len(worker.tasks), default=None)
