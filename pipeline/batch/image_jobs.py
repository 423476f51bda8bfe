"""Pictures as jobs of a batch: how one is read, restored, judged and written. Films: ``pipeline.batch.video_jobs``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.alpha import restored_like, visible_pixels
from pipeline.atomic import partial_folder, temporary_folder
from pipeline.batch.output import stage_paths
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.errors import RefusedImage, needing_space
from pipeline.hashing import sha256_of
from pipeline.images import ImageFile, check_target, read_image, write_image

if TYPE_CHECKING:
    from pipeline.batch.plan import Job
    from pipeline.engine.engine import Engine, Restoration
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.pixels import Pixels


class ImageJobs:
    """Restores the pictures of a batch.

    Args:
        stages: Names of the stages after which the picture is written, too; all of the chain's, or none.
        judge: Compares the results with references.
    """

    def __init__(self, stages: Sequence[str] = (), judge: ReferenceComparison | None = None) -> None:
        self.stages = stages
        self.judge = judge

    def fingerprint(self, chain: str) -> str:
        """Return a hash of all that determines a picture's pixels, beside its input: the chain's alone."""
        return chain

    def input_hash(self, job: Job) -> str:
        """Return the hash of a file."""
        return sha256_of(job.source)

    def open(self, job: Job, record: Record, report: RunLog) -> tuple[Record, ImageFile | None]:
        """Read a picture; or recall its figures, if it is finished and all that is asked for is there.

        Returns:
            The record, and the picture if it has to be restored.

        Raises:
            ImageError: if it cannot be restored.
        """
        shutil.rmtree(partial_folder(job.target), ignore_errors=True)  # left by a kill
        if self.judge is not None:
            record = replace(record, quality=self.judge.find(job.relative))
        if record.status == "skipped" and (recalled := self._recall(job.target, record, report)) is not None:
            return recalled, None
        picture = read_image(job.source)
        height, width = picture.pixels.shape[:2]
        record = replace(record, status="pending", output_sha256=None, notes=picture.notes, input_size=(width, height))
        return record, picture

    def restore(
        self, job: Job, picture: ImageFile, engine: Engine, record: Record, *, keep_stages: bool
    ) -> tuple[Record, Restoration[Pixels]]:
        """Run the chain over a picture and judge the result.

        Args:
            job: The input.
            picture: From ``open``.
            engine: Runs the chain.
            record: From ``open``.
            keep_stages: Return the picture after every stage, even if it is neither written nor judged.

        Raises:
            RefusedImage: if the target's format cannot hold the result.
            RestorationError: as from ``Engine.run``.
        """
        check_target(job.target, picture, engine.chain.scale)
        pixels, quality = visible_pixels(picture), record.quality
        restoration = engine.run(pixels, keep_stages=keep_stages or bool(self.stages) or self.judge is not None)
        if self.judge is not None and quality is not None:
            quality = self.judge.judge(quality, engine, pixels, restoration.stages)
        return replace(record.computed(restoration), quality=quality), restoration

    def keep(
        self,
        job: Job,
        picture: ImageFile,
        restoration: Restoration[Pixels],
        record: Record,
        report: RunLog,
        *,
        replaces: bool,
    ) -> Record:
        """Write a result into a hidden folder, record it, then move it to its place.

        Args:
            job: The input.
            picture: From ``open``.
            restoration: From ``restore``.
            record: From ``restore``.
            report: Where the result is recorded.
            replaces: Whether a file at the target is replaced.

        Raises:
            RefusedImage: if there is a file that is not to be replaced.
            OutOfSpace: if the disk is full.
        """
        started, target = time.perf_counter(), job.target
        with needing_space(), temporary_folder(target) as folder:
            self._write_stages(picture, restoration, folder, target)
            temporary = folder / target.name
            notes = write_image(temporary, restored_like(picture, restoration.pixels))
            height, width = restoration.pixels.shape[:2]
            record = replace(
                record,
                status="done",
                notes=record.notes + notes,
                output_sha256=sha256_of(temporary),
                output_size=(width, height),
            ).spent_since(started)
            if not replaces and os.path.lexists(target):
                raise RefusedImage(
                    f"{target} has come up meanwhile, as the result of an input whose name differs in upper and lower "
                    "case only, or by another program; restore it into another folder"
                )
            report.append(record)
            temporary.replace(target)
        return record

    def _recall(self, target: Path, record: Record, report: RunLog) -> Record | None:
        """Return a finished record with its figures; None if stages or figures that are asked for are missing."""
        if not all(path.exists() for path in stage_paths(self.stages, target)):
            return None
        if self.judge is None or record.quality is None or record.quality.error is not None:
            return record
        figures = report.figures(record)
        if not self.judge.has_judged(figures):
            return None
        return replace(record, quality=replace(record.quality, figures=figures))

    def _write_stages(self, picture: ImageFile, restoration: Restoration[Pixels], folder: Path, target: Path) -> None:
        """Write the pictures after the stages, each whole: into ``folder``, then to its place."""
        for name, path in zip(self.stages, stage_paths(self.stages, target), strict=True):
            path.parent.mkdir(exist_ok=True)
            write_image(folder / path.name, restored_like(picture, restoration.stages[name]))
            (folder / path.name).replace(path)
