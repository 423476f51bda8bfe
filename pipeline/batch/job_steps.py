"""The steps of one job, wherever they run: read and compare, compute, write to a hidden path beside its place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.job import Job, LeftOut
from pipeline.batch.job_kind import JobKind, Watch
from pipeline.batch.output import refuse_long_name
from pipeline.batch.record import Record, Status
from pipeline.chain.config import ChainConfig
from pipeline.chain.downloads import origins
from pipeline.device.precision import precisions_as_exact_as
from pipeline.errors import BrokenImage, ImageError, LostContent, OutOfMemory, OutOfSpace, RefusedImage, one_line
from pipeline.hashing import sha256_of

if TYPE_CHECKING:
    from pipeline.engine.engine import Engine

Made = TypeVar("Made")


@dataclass(frozen=True)
class Work:
    """A job between two of its steps.

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


class Present(NamedTuple):
    """The name and the hash of what is at the place of a result."""

    name: str
    sha256: str


class Steps(Protocol):
    """The steps of jobs of one kind, ``Job`` or ``ObjectJob``; ``JobSteps`` says what each does."""

    output: Path
    kinds: Mapping[str, JobKind]

    def record_of(self, found: Any) -> Record:
        """Return the record that a job begins with; the final one of what is left out."""

    def read(self, job: Any, earlier: EarlierResults) -> Work | Record:
        """Identify an input, skip it if it is finished, else read it."""

    def compute(self, work: Work, watch: Watch) -> Work | Record:
        """Run the chain."""

    def write(self, work: Work) -> Work | Record:
        """Write the result."""


class JobSteps:
    """Takes jobs step by step to a result at a hidden path; a step returns a record where it is the job's last.

    Args:
        config: The chain; its fingerprint decides what is already finished.
        output: The folder of the results.
        make_engine: Called once, for the first file that has to be computed.
        kinds: How each kind of job is done.
        precision: What the engine computes in, as for ``Engine``; what is finished less exactly is restored again.
        overwrite: Redo what is finished, and replace files that no earlier run has made.
        strict: Fail where a result would lack something of its input.
    """

    def __init__(
        self,
        config: ChainConfig,
        output: Path,
        make_engine: Callable[[], Engine],
        kinds: Mapping[str, JobKind],
        *,
        precision: str = "auto",
        overwrite: bool = False,
        strict: bool = False,
    ) -> None:
        self.output = output
        self.strict = strict
        self.kinds = kinds
        self.precisions = precisions_as_exact_as(precision)
        self.overwrite = overwrite
        self.chain = config.fingerprint()
        self.weights = config.weights_hashes()
        self.origins = origins(config)
        self._make_engine = make_engine
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, made when it is first needed.

        Raises:
            ConfigError: if it cannot be made.
        """
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def record_of(self, found: Job | LeftOut) -> Record:
        """Return the record that a job begins with; the final one of what is left out."""
        source = str(found.source)
        if isinstance(found, LeftOut):
            begun = Record(source, None, found.status, found.error, chain=self.chain)
        else:
            output = found.target.relative_to(self.output).as_posix()
            begun = Record(source, output, chain=self.kinds[found.kind].fingerprint(self.chain))
        return replace(begun, weights=self.weights, origins=self.origins)

    def read(self, job: Job, earlier: EarlierResults) -> Work | Record:
        """Identify an input, skip it if it is finished, else read it."""
        record = self.record_of(job)
        return step(record, lambda: self.open(job, record, earlier, self.present(job.target)))

    def present(self, target: Path) -> Present | None:
        """Return what is at a target; its hash is empty for a folder, and where nobody asks for it."""
        if not os.path.lexists(target):
            return None
        return Present(str(target), sha256_of(target) if target.is_file() and not self.overwrite else "")

    def open(self, job: Job, record: Record, earlier: EarlierResults, present: Present | None) -> Work | Record:
        """Identify an input, skip it if it is finished, else read it.

        Args:
            job: The input.
            record: What it begins with.
            earlier: What earlier runs wrote to its target.
            present: What is at its target.

        Raises:
            ImageError: if it cannot be restored.
        """
        started, kind = time.perf_counter(), self.kinds[job.kind]
        if not (job.source.is_dir() if job.kind == "frames" else job.source.is_file()):
            raise BrokenImage("is not a file, or a link to nothing")
        refuse_long_name(job.target)
        record = self._compare(replace(record, input_sha256=kind.input_hash(job)), earlier, present)
        record, content = kind.open(job, record, earlier)
        self._refuse_losses(record)
        record = record.spent_since(started)
        return record if content is None else Work(job, record, content, replaces=present is not None)

    def compute(self, work: Work, watch: Watch) -> Work | Record:
        """Run the chain.

        Raises:
            ConfigError: if the engine cannot be made.
        """
        engine = self.engine
        return step(work.record, lambda: self._compute(work, engine, watch))

    def write(self, work: Work) -> Work | Record:
        """Write the result to its hidden path; the record says ``done``, as it will be once that is renamed."""
        return step(work.record, lambda: self._write(work))

    def _refuse_losses(self, record: Record) -> None:
        if self.strict and record.losses:
            raise LostContent(f"{'; '.join(record.losses)}; the option strict makes this an error")

    def _compare(self, record: Record, earlier: EarlierResults, present: Present | None) -> Record:
        """Mark the input as skipped if its target is finished; refuse a target that no earlier run has made."""
        if self.overwrite or present is None:
            return record
        if not earlier.made(present.sha256):
            raise RefusedImage(
                f"{present.name} is there already, and {earlier.place} does not know its content; "
                "move it away, or choose overwrite",
                "in the way",
            )
        skipped = replace(record, status="skipped", output_sha256=present.sha256)
        skipped = replace(skipped, losses=earlier.losses(skipped))
        return skipped if earlier.finished(skipped, self.precisions) else record

    def _compute(self, work: Work, engine: Engine, watch: Watch) -> Work:
        started = time.perf_counter()
        record, result = self.kinds[work.job.kind].restore(work.job, work.content, engine, work.record, watch)
        return replace(work, record=record.spent_since(started), result=result)

    def _write(self, work: Work) -> Work:
        started, kind = time.perf_counter(), self.kinds[work.job.kind]
        try:
            record = kind.write(work.job, work.content, work.result, work.record)
            self._refuse_losses(record)
        except BaseException:
            kind.discard(work.job)
            raise
        return replace(work, record=replace(record, status="done").spent_since(started))


def step(record: Record, take: Callable[[], Made]) -> Made | Record:
    """Take a job one step further; an exception ends this job only, except for a full disk."""
    started = time.perf_counter()
    try:
        return take()
    except OutOfSpace:
        raise
    except Exception as error:
        status: Status = "refused" if isinstance(error, RefusedImage) else "failed"
        return replace(record, status=status, error=one_line(error), reason=_reason(error)).spent_since(started)


def _reason(error: Exception) -> str:
    if isinstance(error, ImageError):
        return error.reason
    return "memory" if isinstance(error, OutOfMemory) else "internal"
