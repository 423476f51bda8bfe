"""Settings whose workers die: always at ``poison.png``, at the first try of ``once.png``."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job import Job
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.record import Record
from pipeline.batch.settings import RestoreSettings
from pipeline.images import ImageFile


class DeadlyJobs(ImageJobs):
    def open(self, job: Job, record: Record, earlier: EarlierResults) -> tuple[Record, ImageFile | None]:
        seen = Path(job.source.parent.parent, f"{job.source.stem}.seen")
        if job.source.name == "poison.png" or (job.source.name == "once.png" and not seen.exists()):
            seen.touch()
            os._exit(9)
        return super().open(job, record, earlier)


@dataclass(frozen=True)
class DeadlySettings(RestoreSettings):
    def make_steps(self, keep_stages: Callable[[], bool] = bool) -> JobSteps:
        steps = super().make_steps(keep_stages)
        return JobSteps(self.config, self.output, lambda: steps.engine, {"image": DeadlyJobs()})
