"""The steps of jobs whose input or result is an object: fetched to a local folder first, or put from there, whole.

An object carries what it was made from, so the run log is not needed to know it again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from pipeline.batch.earlier import EarlierResults, FinishedResult
from pipeline.batch.job import Job, LeftOut, ObjectJob
from pipeline.batch.job_kind import Watch
from pipeline.batch.job_steps import JobSteps, Present, Work, step
from pipeline.batch.record import Record
from pipeline.errors import RefusedImage
from pipeline.storage.objects import fetch, is_url, joined, note_on, put, version_of


@dataclass(frozen=True)
class ObjectWork(Work):
    """The work at the local files of an object.

    Attributes:
        origin: The job that was given.
        version: Of the input.
        folder: Holds the local files.
    """

    origin: ObjectJob | None = None
    version: str = ""
    folder: Path = Path()


class ObjectSteps:
    """As ``JobSteps``, whose steps it takes at local files.

    Args:
        steps: How those are restored.
    """

    def __init__(self, steps: JobSteps) -> None:
        self.output = steps.output
        self.kinds = steps.kinds
        self._steps = steps

    def record_of(self, found: ObjectJob | LeftOut) -> Record:
        """Return the record that a job begins with; the final one of what is left out."""
        if isinstance(found, LeftOut):
            return self._steps.record_of(found)
        chain = self.kinds[found.kind].fingerprint(self._steps.chain)
        return Record(found.source, found.output, chain=chain, weights=self._steps.weights)

    def read(self, job: ObjectJob, earlier: EarlierResults) -> Work | Record:
        """Identify an input, skip it if it is finished, else fetch and read it."""
        record = self.record_of(job)
        folder = Path(tempfile.mkdtemp(prefix="restorechain-"))
        return _ended(step(record, lambda: self._read(job, record, earlier, folder)), folder)

    def compute(self, work: Work, watch: Watch) -> Work | Record:
        """Run the chain.

        Raises:
            ConfigError: if the engine cannot be made.
        """
        assert isinstance(work, ObjectWork)
        return _ended(self._steps.compute(work, watch), work.folder)

    def write(self, work: Work) -> Work | Record:
        """Write the result to its hidden path, or put it into the storage; the latter is final."""
        assert isinstance(work, ObjectWork)
        written = self._steps.write(work)
        try:
            to_storage = work.origin is not None and is_url(work.origin.target)
            if isinstance(written, ObjectWork) and to_storage:
                put_away = written
                written = step(put_away.record, lambda: self._put(put_away))
            return written
        finally:
            shutil.rmtree(work.folder, ignore_errors=True)

    def _read(self, job: ObjectJob, record: Record, earlier: EarlierResults, folder: Path) -> Work | Record:
        version = _version(job.source)
        target, present = Path(job.target), None
        if is_url(job.target):
            target = folder / "out" / Path(job.target).name
            if (note := note_on(job.target)) is not None:
                present, earlier = self._known(job, note)
                finished = replace(
                    record, input_sha256=note.get("input"), output_sha256=present.sha256, status="skipped"
                )
                same = note.get("version") == version and not self._steps.overwrite
                if same and earlier.finished(finished, self._steps.precisions):
                    return finished
        else:
            present = self._steps.present(target)
        local = Job(_local(job.source, folder), job.relative, target, job.kind)
        work = self._steps.open(local, record, earlier, present)
        return (
            work if isinstance(work, Record) else ObjectWork(**vars(work), origin=job, version=version, folder=folder)
        )

    def _known(self, job: ObjectJob, note: Mapping[str, str]) -> tuple[Present, EarlierResults]:
        """Return what is at the target, and what it was made from, by its note."""
        if note and note.get("source") != quote(job.source) and not self._steps.overwrite:
            raise RefusedImage(f"{job.target} is the result of {note.get('source')}; restore it into another folder")
        made = (note.get("output", ""), note.get("input", ""), note.get("chain", ""))
        results = (FinishedResult(made, note.get("precision", "")),) if note else ()
        return Present(job.target, made[0]), EarlierResults("its metadata", results)

    def _put(self, work: ObjectWork) -> Record:
        assert work.origin is not None
        record, local, target = work.record, work.job.target, work.origin.target
        self.kinds[work.job.kind].place(work.job)
        for path in sorted(path for path in local.parent.rglob("*") if path.is_file() and path != local):
            put(path, joined(os.path.dirname(target), path.relative_to(local.parent).as_posix()), {}, replaces=True)  # noqa: PTH120  (a URL)
        note = {
            "source": quote(work.origin.source),
            "version": work.version,
            "input": str(record.input_sha256),
            "output": str(record.output_sha256),
            "chain": record.chain,
            "precision": str(record.precision),
        }
        put(local, target, note, replaces=work.replaces)
        return record


def _version(source: str) -> str:
    if is_url(source):
        return version_of(source)
    found = Path(source).stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _local(source: str, folder: Path) -> Path:
    """Return the file of an input, fetched if it is an object."""
    if not is_url(source):
        return Path(source)
    path = folder / Path(source).name
    fetch(source, path)
    return path


def _ended(work: Work | Record, folder: Path) -> Work | Record:
    """Remove the local files of a job that has ended."""
    if isinstance(work, Record):
        shutil.rmtree(folder, ignore_errors=True)
    return work
