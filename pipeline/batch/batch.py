"""Many files through one chain: the next is read and the last is written while the current one is computed.

reader thread: hash, skip, decode -> main thread: compute -> writer thread: encode, record, rename
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.job_kind import Watch
from pipeline.batch.job_steps import FinalStep, Listener, Recorder, Steps, Work
from pipeline.batch.prefetch import Spans, ahead, worker
from pipeline.batch.record import Record


class Batch:
    """Restores files and records each.

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

    def run(
        self,
        inputs: Iterable[Job | ObjectJob | LeftOut],
        report: Callable[[Record], None],
        watch: Watch = lambda job, progress: None,
    ) -> None:
        """Restore all files in their order; a bad one is recorded and the rest goes on.

        Args:
            inputs: What to do; taken one by one, so that memory does not grow with their number.
            report: Called with every record as soon as it is final, from the writer's thread.
            watch: Called after every stage of every tile of an image, and after every frame of a video; an exception
                that is no ``Exception``, such as KeyboardInterrupt, ends the run.

        Raises:
            ConfigError: if the engine cannot be made.
            OSError: if the run log cannot be written.
            OutOfSpace: if the disk is full.
        """

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
