"""Many files through one chain: the next is read and the last is written while the current one is computed.

reader thread: hash, skip, decode -> main thread: compute -> writer thread: encode, record, rename
"""

from __future__ import annotations

from pipeline.batch.final_step import FinalStep, Listener, Recorder
from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.job_kind import Watch
from pipeline.batch.job_steps import Steps, Work
from pipeline.batch.prefetch import Spans, ahead, worker
from pipeline.batch.record import Record
from pipeline.batch.runner import Inputs, Report, unwatched


class Batch:
    """Restores files and records each, in this process; a ``BatchRunner``.

    Args:
        steps: How each file is restored.
        run_log: What was done before, and where this run is recorded.
        listener: Is given every input once its record is final.
    """

    def __init__(self, steps: Steps, run_log: Recorder, *, listener: Listener | None = None) -> None:
        self.output = steps.output
        self.run_log = run_log
        self._steps = steps
        self._final = FinalStep(steps.kinds, run_log, listener)
        self._computing = Spans()

    def run(self, inputs: Inputs, report: Report, watch: Watch = unwatched) -> None:
        """Restore all files in their order; ``watch`` is called after every stage of a tile, and after every frame."""

        def restore(work: Work | Record) -> Work | Record:
            return self._restore(work, watch)

        def finish(work: Work | Record) -> None:
            report(self._final.finish(self._steps.write(work) if isinstance(work, Work) else work))

        with worker() as reader, worker() as writer:
            loaded = ahead(reader, self._load, inputs)
            for _ in ahead(writer, finish, map(restore, loaded)):
                pass

    @property
    def waiting(self) -> float:
        """Share of the time between the first computation and the last in which nothing was computed."""
        return self._computing.gaps

    def _load(self, found: Job | ObjectJob | LeftOut) -> Work | Record:
        if isinstance(found, LeftOut):
            return self._steps.record_of(found)
        return self._steps.read(found, self.run_log.earlier(self._steps.record_of(found).output))

    def _restore(self, work: Work | Record, watch: Watch) -> Work | Record:
        if isinstance(work, Record):
            return work
        with self._computing.span():
            return self._steps.compute(work, watch)
