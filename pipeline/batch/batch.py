"""Many files through one chain: the next is read and the last is written while the current one is computed.

    reader thread: hash, skip, decode -> main thread: compute -> writer thread: encode, record, rename

Nobody ever sees a half-written result, and the report knows every result. For that, a result is written into a hidden
folder beside its place, then its record is appended to the report, and only then it is moved to its place. A kill in
between leaves the record of a result that is not there, and the next run restores that input again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.plan import Job, LeftOut
from pipeline.batch.prefetch import Spans, ahead, worker
from pipeline.batch.record import Record, Status
from pipeline.batch.run_log import RunLog
from pipeline.chain.config import ChainConfig
from pipeline.device.precision import precisions_as_exact_as
from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage, one_line
from pipeline.hashing import sha256_of
from pipeline.images import ImageFile

if TYPE_CHECKING:
    from pipeline.batch.video_jobs import VideoJobs, Watch
    from pipeline.engine.engine import Engine, Restoration
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.html_report import HtmlReport
    from pipeline.pixels import Pixels
    from pipeline.video.sources import VideoSource

Made = TypeVar("Made")


@dataclass(frozen=True)
class Work:
    """A job on its way through the three threads, up to its final record.

    Attributes:
        content: What was read.
        replaces: Something was at the target when the job was begun.
        restoration: Of a picture, once it is computed; a film's lies on the disk.
    """

    job: Job
    record: Record
    content: ImageFile | VideoSource
    replaces: bool = False
    restoration: Restoration[Pixels] | None = None


class Batch:
    """Restores files and reports on each.

    Args:
        config: The chain; its fingerprint decides what is already finished.
        output: The folder of the results.
        report: What was done before, and where this run is recorded.
        make_engine: Called once, for the first file that has to be computed.
        precision: What the engine computes in, as for ``Engine``; what is finished less exactly is restored again.
        overwrite: Redo what is finished, and replace files that no earlier run has made.
        save_stages: Write the picture after every stage to ``OUTPUT.stages/1_dncnn.png`` beside the output.
        judge: Tells how near the results come to references. What is finished, but not judged by the reference
            that is there now, is restored again; a reference that is missing or does not fit is recorded, and
            the input is restored all the same.
        page: Is given every input with its pictures once the record is final.
        films: Restores the films; needed only if there are any among the jobs.
    """

    def __init__(
        self,
        config: ChainConfig,
        output: Path,
        report: RunLog,
        make_engine: Callable[[], Engine],
        *,
        precision: str = "auto",
        overwrite: bool = False,
        save_stages: bool = False,
        judge: ReferenceComparison | None = None,
        page: HtmlReport | None = None,
        films: VideoJobs | None = None,
    ) -> None:
        self.output = output
        self.report = report
        self.precisions = precisions_as_exact_as(precision)
        self.overwrite = overwrite
        self.page = page
        self.pictures = ImageJobs(config.names if save_stages else (), judge)
        self.films = films
        self.chain = config.fingerprint()
        self.weights = config.weights_hashes()
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._computing = Spans()

    def run(
        self,
        inputs: Iterable[Job | LeftOut],
        tell: Callable[[Record], None],
        watch: Watch = lambda job, progress: None,
    ) -> None:
        """Restore all files in their order; a bad one is told and the rest goes on.

        Args:
            inputs: What to do; taken one by one, so that memory does not grow with their number.
            tell: Called with every record as soon as it is final, from the writer's thread.
            watch: Called after every frame of a film.

        Raises:
            ConfigError: if the engine cannot be made.
            OSError: if the report cannot be written.
            OutOfSpace: if the disk is full.
        """

        def restore(work: Work | Record) -> Work | Record:
            return self._restore(work, watch)

        def finish(work: Work | Record) -> None:
            tell(self._finish(work))

        with worker() as reader, worker() as writer:
            loaded = ahead(reader, self._load, inputs)
            for _ in ahead(writer, finish, map(restore, loaded)):
                pass

    @property
    def waiting(self) -> float:
        """Share of the time, from the first picture's computing to the last's, in which nothing was computed."""
        return self._computing.gaps

    def _load(self, found: Job | LeftOut) -> Work | Record:
        source = str(found.source)
        if isinstance(found, LeftOut):
            return Record(source, None, found.status, found.error, chain=self.chain, weights=self.weights)
        output = found.target.relative_to(self.output).as_posix()
        chain = self._jobs_like(found).fingerprint(self.chain)
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
        record = work if isinstance(work, Record) else _step(work.record, lambda: self._write(work))
        if record.status != "done":  # what is done was recorded before it got its name
            self.report.append(record)
        if self.page is not None:
            picture = work.content if isinstance(work, Work) and isinstance(work.content, ImageFile) else None
            self.page.add(record, picture, work.restoration if isinstance(work, Work) else None)
        return record

    def _read(self, job: Job, record: Record) -> Work | Record:
        started, jobs = time.perf_counter(), self._jobs_like(job)
        if not (job.source.is_dir() if job.kind == "frames" else job.source.is_file()):
            raise BrokenImage("is not a file, or a link to nothing")
        record = self._compare(replace(record, input_sha256=jobs.input_hash(job)), job.target)
        record, content = jobs.open(job, record, self.report)
        record = record.spent_since(started)
        return record if content is None else Work(job, record, content, replaces=os.path.lexists(job.target))

    def _jobs_like(self, job: Job) -> ImageJobs | VideoJobs:
        if job.kind == "image":
            return self.pictures
        return self._films

    @property
    def _films(self) -> VideoJobs:
        assert self.films is not None
        return self.films

    def _compare(self, record: Record, target: Path) -> Record:
        """Mark the input as skipped if its target is finished; refuse a target that no earlier run has made."""
        if self.overwrite or not os.path.lexists(target):
            return record
        came = sha256_of(target) if target.is_file() else ""
        if not self.report.made(str(record.output), came):
            raise RefusedImage(
                f"{target} is there already, and {self.report.path} does not know its content; "
                "move it away, or choose overwrite"
            )
        skipped = replace(record, status="skipped", output_sha256=came)
        return skipped if self.report.finished(skipped, self.precisions) else record

    def _compute(self, work: Work, engine: Engine, watch: Watch) -> Work:
        started, restoration = time.perf_counter(), None
        with self._computing.span():
            if isinstance(work.content, ImageFile):
                shown = self.page is not None and self.page.has_room
                record, restoration = self.pictures.restore(
                    work.job, work.content, engine, work.record, keep_stages=shown
                )
            else:
                record = self._films.restore(work.job, work.content, engine, work.record, watch)
        return replace(work, record=record.spent_since(started), restoration=restoration)

    def _write(self, work: Work) -> Record:
        if not isinstance(work.content, ImageFile):
            return self._films.keep(work.job, work.record, self.report)
        assert work.restoration is not None
        return self.pictures.keep(
            work.job, work.content, work.restoration, work.record, self.report, replaces=work.replaces
        )


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
