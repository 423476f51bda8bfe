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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import ChainConfig, sha256_of
from pipeline.discover import Job
from pipeline.engine.device import precisions_as_exact_as
from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage, one_line
from pipeline.overlap import Spans, ahead, worker
from pipeline.pictures import PictureJobs
from pipeline.report import Record, Report, Status

if TYPE_CHECKING:
    from pipeline.engine.engine import Engine, Restoration
    from pipeline.evaluation.judge import Judge
    from pipeline.images import Picture
    from pipeline.page import Page
    from pipeline.pixels import Pixels
    from pipeline.video.films import Film
    from pipeline.video.jobs import FilmJobs, Watch


@dataclass(frozen=True)
class Work:
    """A job on its way through the three threads; once its status is not pending, no step changes it any more.

    Attributes:
        replaces: Something was at the target when the job was begun.
    """

    job: Job
    record: Record
    picture: Picture | None = None
    restoration: Restoration[Pixels] | None = None
    film: Film | None = None
    replaces: bool = False


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
        report: Report,
        make_engine: Callable[[], Engine],
        *,
        precision: str = "auto",
        overwrite: bool = False,
        save_stages: bool = False,
        judge: Judge | None = None,
        page: Page | None = None,
        films: FilmJobs | None = None,
    ) -> None:
        self.output = output
        self.report = report
        self.precisions = precisions_as_exact_as(precision)
        self.overwrite = overwrite
        self.page = page
        self.pictures = PictureJobs(config.names if save_stages else (), judge)
        self.films = films
        self.chain = config.fingerprint()
        self.weights = config.weights_hashes()
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._computing = Spans()

    def run(
        self, jobs: Iterable[Job], tell: Callable[[Record], None], watch: Watch = lambda job, progress: None
    ) -> None:
        """Restore all files in their order; a bad one is told and the rest goes on.

        Args:
            jobs: What to do; taken one by one, so that memory does not grow with their number.
            tell: Called with every record as soon as it is final, from the writer's thread.
            watch: Called after every frame of a film.

        Raises:
            ConfigError: if the engine cannot be made.
            OSError: if the report cannot be written.
            OutOfSpace: if the disk is full.
        """

        def restore(work: Work) -> Work:
            return self._restore(work, watch)

        def finish(work: Work) -> None:
            tell(self._finish(work))

        with worker() as reader, worker() as writer:
            loaded = ahead(reader, self._load, jobs)
            for _ in ahead(writer, finish, map(restore, loaded)):
                pass

    @property
    def waiting(self) -> float:
        """Share of the time, from the first picture's computing to the last's, in which nothing was computed."""
        return self._computing.gaps

    def _load(self, job: Job) -> Work:
        output = None if job.target is None else job.target.relative_to(self.output).as_posix()
        chain = self.chain if job.kind == "image" else self._films.fingerprint(self.chain)
        record = Record(str(job.source), output, chain=chain, weights=self.weights)
        return _step(self._read, Work(job, record))

    def _restore(self, work: Work, watch: Watch) -> Work:
        if work.record.status == "pending" and self._engine is None:
            self._engine = self._make_engine()
        return _step(partial(self._compute, watch=watch), work)

    def _finish(self, work: Work) -> Record:
        record = _step(self._write, work).record
        if record.status != "done":  # what is done was recorded before it got its name
            self.report.append(record)
        if self.page is not None:
            self.page.add(record, work.picture, work.restoration)
        return record

    def _read(self, work: Work) -> Work:
        source, target = work.job.source, work.job.target
        if target is None and not work.job.named:
            return replace(work, record=replace(work.record, status="ignored"))
        if source.is_dir() and work.job.kind == "image":
            raise BrokenImage("the folder cannot be listed; what is in it was left out")
        if target is None:
            text = "is not the suffix of an image or video that can be read; convert it to PNG or TIFF first"
            raise RefusedImage(f"{source.suffix!r} {text}")
        if work.job.kind == "image":
            record = self._compare(replace(work.record, input_sha256=self.pictures.input_hash(work.job)), target)
            record, picture = self.pictures.open(work.job, record, self.report)
            return replace(work, record=record, picture=picture, replaces=os.path.lexists(target))
        record = self._compare(replace(work.record, input_sha256=self._films.input_hash(work.job)), target)
        record, film = self._films.open(work.job, record, self.report)
        return replace(work, record=record, film=film)

    @property
    def _films(self) -> FilmJobs:
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
                "move it away, or replace it by --overwrite"
            )
        skipped = replace(record, status="skipped", output_sha256=came)
        return skipped if self.report.finished(skipped, self.precisions) else record

    def _compute(self, work: Work, watch: Watch) -> Work:
        assert self._engine is not None
        with self._computing.span():
            if work.film is not None:
                record = self._films.restore(work.job, work.film, self._engine, work.record, watch)
                return replace(work, record=record)
            assert work.picture is not None
            shown = self.page is not None and self.page.has_room
            record, restoration = self.pictures.restore(
                work.job, work.picture, self._engine, work.record, keep_stages=shown
            )
        return replace(work, record=record, restoration=restoration)

    def _write(self, work: Work) -> Work:
        if work.film is not None:
            return Work(work.job, self._films.keep(work.job, work.record, self.report))
        assert work.picture is not None
        assert work.restoration is not None
        record = self.pictures.keep(
            work.job, work.picture, work.restoration, work.record, self.report, replaces=work.replaces
        )
        return Work(work.job, record)


def _step(step: Callable[[Work], Work], work: Work) -> Work:
    """Take a pending job one step further; an exception ends this job only, except for a full disk."""
    if work.record.status != "pending":
        return work
    started = time.perf_counter()
    try:
        work = step(work)
    except OutOfSpace:
        raise
    except Exception as error:
        status: Status = "refused" if isinstance(error, RefusedImage) else "failed"
        work = Work(work.job, replace(work.record, status=status, error=one_line(error)))
    if work.record.status == "done":  # its record is written already
        return work
    seconds = round(work.record.seconds + time.perf_counter() - started, 3)
    return replace(work, record=replace(work.record, seconds=seconds))
