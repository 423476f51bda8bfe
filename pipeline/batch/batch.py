"""Many files through one chain: the next is read and the last is written while the current one is computed.

    reader thread: hash, skip, decode -> main thread: compute -> writer thread: encode, record, rename

Nobody ever sees a half-written result, and the run log knows every result. For that, a result is written to a hidden
path beside its place, then its record is appended to the run log, and only then it is renamed. A kill in between leaves
the record of a result that is not there, and the next run restores that input again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipeline.batch.job import Job, LeftOut
from pipeline.batch.job_kind import JobKind, Watch
from pipeline.batch.prefetch import Spans, ahead, worker
from pipeline.batch.record import Record, Status
from pipeline.batch.run_log import RunLog
from pipeline.chain.config import ChainConfig
from pipeline.device.precision import precisions_as_exact_as
from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage, one_line
from pipeline.hashing import sha256_of

if TYPE_CHECKING:
    from pipeline.engine.engine import Engine

Made = TypeVar("Made")


class Listener(Protocol):
    """Is given every input with its content and result, once its record is final."""

    def add(self, record: Record, content: Any, result: Any) -> None:
        """Take one input; content and result are None where nothing was computed."""


@dataclass(frozen=True)
class Work:
    """A job on its way through the three threads, up to its final record.

    Attributes:
        content: What was read.
        replaces: Something was at the target when the job began.
        result: What was computed.
    """

    job: Job
    record: Record
    content: Any
    replaces: bool = False
    result: Any = None


class Batch:
    """Restores files and records each.

    Args:
        config: The chain; its fingerprint decides what is already finished.
        output: The folder of the results.
        run_log: What was done before, and where this run is recorded.
        make_engine: Called once, for the first file that has to be computed.
        kinds: How each kind of job is done.
        precision: What the engine computes in, as for ``Engine``; what is finished less exactly is restored again.
        overwrite: Redo what is finished, and replace files that no earlier run has made.
        listener: Is given every input once its record is final.
    """

    def __init__(
        self,
        config: ChainConfig,
        output: Path,
        run_log: RunLog,
        make_engine: Callable[[], Engine],
        kinds: Mapping[str, JobKind],
        *,
        precision: str = "auto",
        overwrite: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self.output = output
        self.run_log = run_log
        self.kinds = kinds
        self.precisions = precisions_as_exact_as(precision)
        self.overwrite = overwrite
        self.listener = listener
        self.chain = config.fingerprint()
        self.weights = config.weights_hashes()
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._computing = Spans()

    def run(
        self,
        inputs: Iterable[Job | LeftOut],
        report: Callable[[Record], None],
        watch: Watch = lambda job, progress: None,
    ) -> None:
        """Restore all files in their order; a bad one is recorded and the rest goes on.

        Args:
            inputs: What to do; taken one by one, so that memory does not grow with their number.
            report: Called with every record as soon as it is final, from the writer's thread.
            watch: Called after every frame of a video.

        Raises:
            ConfigError: if the engine cannot be made.
            OSError: if the run log cannot be written.
            OutOfSpace: if the disk is full.
        """

        def restore(work: Work | Record) -> Work | Record:
            return self._restore(work, watch)

        def finish(work: Work | Record) -> None:
            report(self._finish(work))

        with worker() as reader, worker() as writer:
            loaded = ahead(reader, self._load, inputs)
            for _ in ahead(writer, finish, map(restore, loaded)):
                pass

    @property
    def waiting(self) -> float:
        """Share of the time between the first computation and the last in which nothing was computed."""
        return self._computing.gaps

    def _load(self, found: Job | LeftOut) -> Work | Record:
        source = str(found.source)
        if isinstance(found, LeftOut):
            return Record(source, None, found.status, found.error, chain=self.chain, weights=self.weights)
        output = found.target.relative_to(self.output).as_posix()
        chain = self.kinds[found.kind].fingerprint(self.chain)
        record = Record(source, output, chain=chain, weights=self.weights)
        return _step(record, lambda: self._read(found, record))

    def _restore(self, work: Work | Record, watch: Watch) -> Work | Record:
        if isinstance(work, Record):
            return work
        if self._engine is None:
            self._engine = self._make_engine()
        engine = self._engine
        return _step(work.record, lambda: self._compute(work, engine, watch))

    def _finish(self, work: Work | Record) -> Record:
        record = work if isinstance(work, Record) else _step(work.record, lambda: self._keep(work))
        if record.status != "done":  # what is done was recorded before it was renamed
            self.run_log.append(record)
        if self.listener is not None:
            content, result = (work.content, work.result) if isinstance(work, Work) else (None, None)
            self.listener.add(record, content, result)
        return record

    def _read(self, job: Job, record: Record) -> Work | Record:
        started, kind = time.perf_counter(), self.kinds[job.kind]
        if not (job.source.is_dir() if job.kind == "frames" else job.source.is_file()):
            raise BrokenImage("is not a file, or a link to nothing")
        record = self._compare(replace(record, input_sha256=kind.input_hash(job)), job.target)
        record, content = kind.open(job, record, self.run_log)
        record = record.spent_since(started)
        return record if content is None else Work(job, record, content, replaces=os.path.lexists(job.target))

    def _compare(self, record: Record, target: Path) -> Record:
        """Mark the input as skipped if its target is finished; refuse a target that no earlier run has made."""
        if self.overwrite or not os.path.lexists(target):
            return record
        came = sha256_of(target) if target.is_file() else ""
        if not self.run_log.made(str(record.output), came):
            raise RefusedImage(
                f"{target} is there already, and {self.run_log.path} does not know its content; "
                "move it away, or choose overwrite"
            )
        skipped = replace(record, status="skipped", output_sha256=came)
        return skipped if self.run_log.finished(skipped, self.precisions) else record

    def _compute(self, work: Work, engine: Engine, watch: Watch) -> Work:
        started = time.perf_counter()
        with self._computing.span():
            record, result = self.kinds[work.job.kind].restore(work.job, work.content, engine, work.record, watch)
        return replace(work, record=record.spent_since(started), result=result)

    def _keep(self, work: Work) -> Record:
        kind = self.kinds[work.job.kind]
        return kind.keep(work.job, work.content, work.result, work.record, self.run_log, replaces=work.replaces)


def _step(record: Record, step: Callable[[], Made]) -> Made | Record:
    """Take a job one step further; an exception ends this job only, except for a full disk."""
    started = time.perf_counter()
    try:
        return step()
    except OutOfSpace:
        raise
    except Exception as error:
        status: Status = "refused" if isinstance(error, RefusedImage) else "failed"
        return replace(record, status=status, error=one_line(error)).spent_since(started)
