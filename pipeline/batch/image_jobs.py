"""Images as jobs of a batch: read, restored, compared with a reference, and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.alpha import restored_like, visible_pixels
from pipeline.batch.output import stage_paths
from pipeline.batch.record import Record, blur_record
from pipeline.errors import needing_space
from pipeline.hashing import sha256_of
from pipeline.images import PIXEL_LIMIT, ImageFile, check_target, encode_image, missing_in, read_image, write_image
from stages.atomic import flush, writing_path, written_whole
from stages.kernel_files import encode_kernel

if TYPE_CHECKING:
    from pipeline.batch.earlier import EarlierResults
    from pipeline.batch.job import Job
    from pipeline.batch.job_kind import Watch
    from pipeline.engine.engine import Engine
    from pipeline.engine.restoration import Restoration
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.pixels import Pixels


class ImageJobs:
    """Restores the images of a batch.

    Args:
        stages: Names of the stages after which the image is written, too; all of the chain's, or none.
        comparison: Compares the results with references. What is finished, but not compared with the reference that
            is there now, is restored again; a reference that is missing or does not fit is recorded, and the input is
            restored all the same.
        keep_stages: Asked before each image whether its image after every stage is wanted for other reasons.
        max_pixels: Larger images are refused.
    """

    def __init__(
        self,
        stages: Sequence[str] = (),
        comparison: ReferenceComparison | None = None,
        keep_stages: Callable[[], bool] = lambda: False,
        max_pixels: int = PIXEL_LIMIT,
    ) -> None:
        self.stages = stages
        self.comparison = comparison
        self.keep_stages = keep_stages
        self.max_pixels = max_pixels

    def fingerprint(self, chain: str) -> str:
        """Return the chain's fingerprint: nothing else determines an image's pixels."""
        return chain

    def input_hash(self, job: Job) -> str:
        """Return the SHA-256 of the file."""
        return sha256_of(job.source)

    def open(self, job: Job, record: Record, earlier: EarlierResults) -> tuple[Record, ImageFile | None]:
        """Read an image; or recall its scores, if it is finished and all that is asked for is there."""
        if self.comparison is not None:
            record = replace(record, quality=self.comparison.find(job.relative))
        if record.status == "skipped" and (recalled := self._recall(job.target, record, earlier)) is not None:
            return recalled, None
        image = read_image(job.source, self.max_pixels)
        height, width = image.pixels.shape[:2]
        record = replace(record, status="pending", output_sha256=None, notes=image.notes, losses=image.losses)
        return replace(record, input_size=(width, height)), image

    def restore(
        self, job: Job, content: ImageFile, engine: Engine, record: Record, watch: Watch
    ) -> tuple[Record, Restoration[Pixels]]:
        """Run the chain over an image and compare the result with its reference."""
        check_target(job.target, content, engine.chain.scale)
        pixels, quality = visible_pixels(content), record.quality
        engine = engine.for_image(pixels, content.luma_table)
        keep_stages = bool(self.stages) or self.comparison is not None or self.keep_stages()
        restoration = engine.run(pixels, keep_stages=keep_stages, watch=partial(watch, job))
        if self.comparison is not None and quality is not None:
            quality = self.comparison.compare(quality, engine, pixels, restoration.stages)
        record = replace(
            record.computed(restoration),
            quality=quality,
            noise_levels=restoration.noise_levels,
            blurs={name: blur_record(finding) for name, finding in restoration.blurs.items()},
        )
        return record, restoration

    def write(self, job: Job, content: ImageFile, result: Restoration[Pixels], record: Record) -> Record:
        """Encode an image, and those after the stages if they are wanted."""
        target, hidden = job.target, writing_path(job.target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with needing_space():
            self._write_stages(content, result, target)
            written = restored_like(content, result.pixels)
            losses = encode_image(hidden, written)
            losses += missing_in(hidden, written, losses)
            flush(hidden)  # before it is recorded as done
        height, width = result.pixels.shape[:2]
        record = replace(record, losses=record.losses + losses, output_sha256=sha256_of(hidden))
        return replace(record, output_size=(width, height))

    def place(self, job: Job) -> None:
        """Rename the encoded image."""
        writing_path(job.target).replace(job.target)

    def discard(self, job: Job) -> None:
        """Delete the encoded image."""
        writing_path(job.target).unlink(missing_ok=True)

    def _recall(self, target: Path, record: Record, earlier: EarlierResults) -> Record | None:
        """Return a finished record with its scores; None if stages or scores that are asked for are missing."""
        if not all(path.exists() for path in stage_paths(self.stages, target)):
            return None
        if self.comparison is None or record.quality is None or record.quality.error is not None:
            return record
        scores = earlier.scores(record)
        if not self.comparison.has_compared(scores):
            return None
        return replace(record, quality=replace(record.quality, scores=scores))

    def _write_stages(self, image: ImageFile, restoration: Restoration[Pixels], target: Path) -> None:
        for name, path in zip(self.stages, stage_paths(self.stages, target), strict=True):
            path.parent.mkdir(exist_ok=True)
            write_image(path, restored_like(image, restoration.stages[name]))
            kernel = restoration.blurs[name].kernel if name in restoration.blurs else None
            if kernel is not None:
                with written_whole(path.with_suffix(".kernel.png")) as temporary:
                    temporary.write_bytes(encode_kernel(kernel))
