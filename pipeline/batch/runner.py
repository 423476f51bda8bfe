"""What runs a batch: this process alone, or workers on one machine or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from pipeline.batch.final_step import Recorder
from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.job_kind import Watch
from pipeline.batch.record import Record

Inputs = Iterable[Job | ObjectJob | LeftOut]
Report = Callable[[Record], None]


def unwatched(job: Job, progress: object) -> None:
    """Ignore the progress of a job."""


class BatchRunner(Protocol):
    """Restores files and records each.

    Attributes:
        output: The folder of the results.
        run_log: What was done before, and where this run is recorded.
    """

    output: Path
    run_log: Recorder

    def run(self, inputs: Inputs, report: Report, watch: Watch = unwatched) -> None:
        """Restore all files; a bad one is recorded and the rest goes on.

        Args:
            inputs: What to do; taken one by one, so that memory does not grow with their number.
            report: Called with every record as soon as it is final, possibly from another thread.
            watch: Called with the progress of a job while it is computed; an exception that is no ``Exception``, such
                as KeyboardInterrupt, ends the run.

        Raises:
            ConfigError: if the engine cannot be made.
            OSError: if the run log cannot be written.
            OutOfSpace: if the disk is full.
        """

    @property
    def waiting(self) -> float:
        """Share of the time between the first computation and the last in which nothing was computed."""
