"""The steps of a run that restores images by one chain and videos by another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.job import LeftOut
from pipeline.batch.job_kind import JobKind, Watch
from pipeline.batch.job_steps import Steps, Work
from pipeline.batch.record import Record


class StepsByKind:
    """As ``Steps``: takes those of an image, or those of a video.

    Args:
        images: The steps of images.
        videos: The steps of videos and folders of frames.
    """

    def __init__(self, images: Steps, videos: Steps) -> None:
        self.output = images.output
        self.kinds: Mapping[str, JobKind] = {**videos.kinds, "image": images.kinds["image"]}
        self.images = images
        self.videos = videos

    def record_of(self, found: Any) -> Record:
        """Return the record that a job begins with; the final one of what is left out."""
        return (self.images if isinstance(found, LeftOut) else self._of(found)).record_of(found)

    def read(self, job: Any, earlier: EarlierResults) -> Work | Record:
        """Identify an input, skip it if it is finished, else read it."""
        return self._of(job).read(job, earlier)

    def compute(self, work: Work, watch: Watch) -> Work | Record:
        """Run the chain of its kind."""
        return self._of(work.job).compute(work, watch)

    def write(self, work: Work) -> Work | Record:
        """Write the result."""
        return self._of(work.job).write(work)

    def _of(self, job: Any) -> Steps:
        return self.images if job.kind == "image" else self.videos
