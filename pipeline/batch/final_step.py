"""The last step of a job, in one process: record it, then put its result into its place.

Nobody ever sees a half-written result, and the run log knows every result. For that, a result is written to a hidden
path beside its place, then its record is appended to the run log, and only then it is renamed. A kill in between leaves
the record of a result that is not there, and the next run restores that input again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.job import Job, ObjectJob
from pipeline.batch.job_kind import JobKind
from pipeline.batch.job_steps import Work, step
from pipeline.batch.output import refuse_new_file
from pipeline.batch.record import Record


class Listener(Protocol):
    """Is given every input with its content and result, once its record is final."""

    def add(self, record: Record, content: Any, result: Any) -> None:
        """Take one input; content and result are None where nothing was computed, or elsewhere."""


class Recorder(Protocol):
    """A run log: takes records, and knows what earlier runs recorded of an output."""

    def earlier(self, output: str | None) -> EarlierResults:
        """Return what earlier runs wrote to a path, which is relative to the folder of the results."""

    def append(self, record: Record) -> None:
        """Write one record."""


class FinalStep:
    """Records every input, and puts the written results into their places; in one thread of one process.

    Args:
        kinds: How each kind of job is done.
        run_log: Where every input is recorded.
        listener: Is given every input once its record is final.
    """

    def __init__(self, kinds: Mapping[str, JobKind], run_log: Recorder, listener: Listener | None = None) -> None:
        self.kinds = kinds
        self.run_log = run_log
        self.listener = listener

    def finish(self, work: Work | Record) -> Record:
        """Record an input, and rename its result if there is one.

        Raises:
            OSError: if the run log cannot be written.
            OutOfSpace: if the disk is full.
        """
        record = work if isinstance(work, Record) else step(work.record, lambda: self._place(work))
        if isinstance(work, Record) or record.status != "done":  # else it was recorded before it was renamed
            self.run_log.append(record)
        if self.listener is not None:
            content, result = (work.content, work.result) if isinstance(work, Work) else (None, None)
            self.listener.add(record, content, result)
        return record

    def discard(self, job: Job | ObjectJob) -> None:
        """Delete what a job has written, since nothing will record it; of objects, nothing is half-written."""
        if isinstance(job, Job):
            with suppress(OSError):
                self.kinds[job.kind].discard(job)

    def _place(self, work: Work) -> Record:
        try:
            refuse_new_file(work.job.target, replaces=work.replaces)
            self.run_log.append(work.record)
            self.kinds[work.job.kind].place(work.job)
        except BaseException:
            self.discard(work.job)
            raise
        return work.record
