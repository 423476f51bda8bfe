"""Videos over workers: their segments are restored side by side, then joined, with the bytes of one process.

    split: find where each segment begins -> restore each that is missing -> join, verify

The segments are those that exist for resuming: each has an encoder of its own, and its bytes depend on its frames and
the few around them only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.batch.job import Job
from pipeline.batch.job_steps import JobSteps, Work, step
from pipeline.batch.record import Record

if TYPE_CHECKING:
    from pipeline.batch.video_jobs import VideoJobs
    from pipeline.video.device import EngineTotals
    from pipeline.video.steps import StepLoad
    from pipeline.video.surroundings import SegmentStart


@dataclass(frozen=True)
class SplitVideo:
    """A video whose segments are to be restored.

    Attributes:
        record: Of the video so far.
        replaces: As of ``Work``.
        missing: Number and begin of each segment that is not there.
        resumed: Frames in the segments that earlier runs left.
        total: Frames of the video.
        discarded: Partial output of another job was deleted.
    """

    record: Record
    replaces: bool
    missing: tuple[tuple[int, SegmentStart], ...]
    resumed: int
    total: int
    discarded: bool


@dataclass(frozen=True)
class VideoPart:
    """What it took to restore one segment."""

    frames: int
    seconds: float
    totals: EngineTotals
    loads: dict[str, StepLoad]


def split(steps: JobSteps, work: Work) -> SplitVideo | Record:
    """Decode a video once, to find where its segments begin; nothing is computed."""
    return step(work.record, lambda: _split(steps, work))


def restore_part(steps: JobSteps, job: Job, record: Record, index: int, start: SegmentStart) -> VideoPart | Record:
    """Restore one segment.

    Args:
        steps: Those of all jobs.
        job: The video.
        record: From ``split``.
        index: Number of the segment.
        start: Where it begins.
    """
    return step(record, lambda: _restore_part(steps, job, record, index, start))


def join_parts(steps: JobSteps, job: Job, video: SplitVideo, parts: Sequence[VideoPart]) -> Work | Record:
    """Join the segments to a hidden file and compare it with the source; what is missing is restored before."""
    joined = step(video.record, lambda: _join(steps, job, video, parts))
    return joined if isinstance(joined, Record) else steps.write(joined)


def _kind(steps: JobSteps, job: Job) -> VideoJobs:
    from pipeline.batch.video_jobs import VideoJobs

    kind = steps.kinds[job.kind]
    assert isinstance(kind, VideoJobs)
    return kind


def _split(steps: JobSteps, work: Work) -> SplitVideo:
    restoration = _kind(steps, work.job).restoration(work.job, work.content, steps.engine, work.record)
    restoration.try_to_write(_kind(steps, work.job).made(work.job))
    starts, total = restoration.segment_starts()
    there = restoration.segments_there(starts)
    missing = tuple((index, start) for index, start in enumerate(starts) if index not in there)
    resumed, discarded = sum(there.values()), restoration.discarded
    return SplitVideo(work.record, work.replaces, missing, resumed, total, discarded)


def _restore_part(steps: JobSteps, job: Job, record: Record, index: int, start: SegmentStart) -> VideoPart:
    kind, started = _kind(steps, job), time.perf_counter()
    restoration = kind.restoration(job, kind.source(job), steps.engine, record)
    progress = restoration.restore_segment(index, start)
    seconds = time.perf_counter() - started
    return VideoPart(progress.fresh, seconds, restoration.device_step.totals, progress.loads)


def _join(steps: JobSteps, job: Job, video: SplitVideo, parts: Sequence[VideoPart]) -> Work:
    kind, started = _kind(steps, job), time.perf_counter()
    source = kind.source(job)
    restoration = kind.restoration(job, source, steps.engine, video.record)
    restoration.discarded = video.discarded
    for part in parts:
        restoration.device_step.totals.add(part.totals)
    restored = restoration.run(kind.made(job), resumed=video.resumed)
    for part in parts:
        for name, load in part.loads.items():
            restored.progress.loads[name].add(load)
    record = kind.restored(video.record, restored).spent_since(started)
    record = replace(record, seconds=round(record.seconds + sum(part.seconds for part in parts), 3))
    return Work(job, record, source, video.replaces)
