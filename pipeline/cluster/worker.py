"""What runs in a worker process: it loads the chain once; calls carry paths and return records, never pixels."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.job import Job, ObjectJob
from pipeline.batch.job_steps import JobSteps, Work
from pipeline.batch.kind_steps import StepsByKind
from pipeline.batch.output import LOCK
from pipeline.batch.record import Record
from pipeline.batch.settings import RestoreSettings
from pipeline.cluster.video_parts import SplitVideo, VideoPart, join_parts, restore_part, split
from pipeline.device.process import keep_freed_memory, let_waiting_threads_sleep
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.video.surroundings import SegmentStart

Result = TypeVar("Result")


class RestoreWorker:
    """Restores files, up to two at a time: one is read or written while the other is computed.

    Args:
        settings: How.
        folder: The working folder of the process that asks, to which relative paths refer.
        threads: Number of threads to compute with.
    """

    def __init__(self, settings: RestoreSettings, folder: str, threads: int) -> None:
        let_waiting_threads_sleep()
        keep_freed_memory()
        self._settings = settings
        self._folder = folder
        self._threads = threads
        self._computing = ThreadPoolExecutor(1)  # several threads would each hold memory of the GPU

    def start(self) -> str:
        """Get ready; return the name of the machine and the number of the process.

        Raises:
            ConfigError: if this machine does not see the folders of the one that asks.
        """
        _enter(self._folder, self._settings)

        import torch

        torch.set_num_threads(self._threads)
        self._steps = self._settings.make_steps()
        return f"{platform.node()}:{os.getpid()}"

    def restore(self, job: Job | ObjectJob, earlier: EarlierResults) -> Work | Record | SplitVideo:
        """Restore one file to its hidden path; a video of several segments is only split into them.

        Raises:
            ConfigError: if the engine cannot be made.
            OutOfSpace: if the disk is full.
        """
        work = self._steps.read(job, earlier)
        if isinstance(work, Work) and isinstance(job, Job) and job.kind != "image":
            video = self._computed(split, self._video_steps(), work)
            if isinstance(video, Record) or len(video.missing) > 1:
                return video
        if isinstance(work, Work):
            work = self._computed(self._steps.compute, work, lambda job, progress: None)
        if isinstance(work, Work):
            work = self._steps.write(work)
        return _without_pixels(work)

    def restore_part(self, job: Job, record: Record, index: int, start: SegmentStart) -> VideoPart | Record:
        """Restore one segment of a video, as ``video_parts.restore_part``."""
        return self._computed(restore_part, self._video_steps(), job, record, index, start)

    def join_parts(self, job: Job, video: SplitVideo, parts: Sequence[VideoPart]) -> Work | Record:
        """Join the segments of a video, as ``video_parts.join_parts``."""
        return _without_pixels(self._computed(join_parts, self._video_steps(), job, video, parts))

    def _computed(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in the one thread that computes."""
        return self._computing.submit(function, *arguments).result()

    def _video_steps(self) -> JobSteps:
        steps = self._steps.videos if isinstance(self._steps, StepsByKind) else self._steps
        assert isinstance(steps, JobSteps)
        return steps


def _without_pixels(work: Work | Record) -> Work | Record:
    return Work(work.job, work.record, None, work.replaces) if isinstance(work, Work) else work


def _enter(folder: str, settings: RestoreSettings) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigError(f"cluster: {platform.node()} has no folder {folder}, expected the one of this run") from error
    if isinstance(settings.output, Path) and not any(settings.output.glob(f"{LOCK}*")):
        raise ConfigError(
            f"output: {platform.node()} does not see the {settings.output} of this machine, expected a folder that all "
            "machines share, or the URL of a storage"
        )
