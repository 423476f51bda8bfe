"""Videos as jobs of a batch: identify, skip if finished, restore, verify and record."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.batch.earlier import EarlierResults
from pipeline.batch.job import Job
from pipeline.batch.job_kind import Watch
from pipeline.batch.record import Record
from pipeline.batch.targets import frames_place
from pipeline.engine.engine import Engine
from pipeline.errors import ImageError, one_line
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.evaluation.quality import Quality
from pipeline.hashing import sha256_of
from pipeline.video.conformance import compare_videos
from pipeline.video.container_choice import notes_on_sound
from pipeline.video.encoder import check_codec
from pipeline.video.flicker import flicker_of_files
from pipeline.video.frame_output import FrameOutput
from pipeline.video.job_marker import remove_marker
from pipeline.video.options import READABLE, VideoOptions
from pipeline.video.orientation import Matrix, is_turned_by_quarters
from pipeline.video.progress import RestoredVideo, VideoProgress
from pipeline.video.property_comparison import summarized
from pipeline.video.restore import VideoRestoration
from pipeline.video.sources import FrameFolder, VideoFile, VideoSource, frame_paths, parse_fps
from stages.atomic import flush, partial_folder

_ROUNDED = ("start", "duration")  # properties that a container states in its own way: nothing of the video is lost
_TILTED = "the images of its frames are not upright: the video is turned by other than quarters of a turn"


class VideoJobs:
    """Restores the videos of a batch.

    Args:
        options: How they are read and written.
        flicker: Measure the temporal flicker of every video.
        references: Finds reference videos to compare the flicker with. A missing reference is recorded.

    Raises:
        ConfigError: for options that libav does not support.
    """

    def __init__(
        self,
        options: VideoOptions,
        *,
        flicker: bool = False,
        references: ReferenceComparison | None = None,
    ) -> None:
        check_codec(options)
        if options.fps is not None:
            parse_fps(options.fps)
        self.options = options
        self.flicker = flicker
        self.references = references

    def fingerprint(self, chain: str) -> str:
        """Return a hash of everything but the input that determines a video's frames."""
        return hashlib.sha256(f"{chain} {self.options.fingerprint()}".encode()).hexdigest()

    def input_hash(self, job: Job) -> str:
        """Return the hash of a file, or of all frames in a folder with their names."""
        if job.kind == "video":
            return sha256_of(job.source)
        frames = "".join(f"{path.name} {sha256_of(path)}\n" for path in frame_paths(job.source))
        return hashlib.sha256(frames.encode("utf-8", "surrogateescape")).hexdigest()

    def open(self, job: Job, record: Record, earlier: EarlierResults) -> tuple[Record, VideoSource | None]:
        """Probe a video, or restore the recorded differences if it is finished.

        Returns:
            The record, and the video if it has to be restored.

        Raises:
            ImageError: if it cannot be restored.
        """
        frames = self._frame_output(job, record)
        if record.status == "skipped" and (frames is None or frames.is_whole()):
            record = replace(record, differs=earlier.differences(record))
            return self._with_flicker(job, record, job.target), None
        source = self.source(job)
        source.check()
        if source.file is not None:
            record = replace(record, notes=(*record.notes, *notes_on_sound(source.file, job.target, self.options)))
        if frames is not None and not is_turned_by_quarters(source.footage.display_matrix):
            record = replace(record, notes=(*record.notes, _TILTED))
        losses, size = source.footage.losses, source.footage.size
        return replace(record, status="pending", losses=losses, input_size=size), source

    def source(self, job: Job) -> VideoSource:
        """Return the frames of a job.

        Raises:
            ImageError: if they cannot be restored.
        """
        return (VideoFile if job.kind == "video" else FrameFolder)(job.source, self.options)

    def restore(
        self, job: Job, content: VideoSource, engine: Engine, record: Record, watch: Watch
    ) -> tuple[Record, None]:
        """Write the video next to its target, for ``write``; partial output of an interrupted run is resumed.

        Args:
            job: The input.
            content: From ``open``.
            engine: Runs the chain.
            record: From ``open``.
            watch: Called after every frame.

        Raises:
            ImageError: if the video cannot be read to its end.
            RestorationError: as from ``Engine.run_frames``.
        """
        restoration = self.restoration(job, content, engine, record, lambda progress: watch(job, progress))
        return self.restored(record, restoration.run(self.made(job))), None

    def restoration(
        self,
        job: Job,
        content: VideoSource,
        engine: Engine,
        record: Record,
        on_frame: Callable[[VideoProgress], None] = lambda progress: None,
    ) -> VideoRestoration:
        """Return what restores a video, or its segments one by one; partial output of another job is deleted."""
        matrix = content.footage.display_matrix
        folder, frames = partial_folder(job.target), self._frame_output(job, record, matrix)
        if frames is not None and not frames.begin():
            remove_marker(folder)  # its segments have no frames in the folder
        return VideoRestoration(
            content,
            engine,
            self.options,
            folder,
            job=f"{_identity(record)} {engine.precision} {'' if frames is None else frames.folder}",
            save=None if frames is None else frames.save,
            on_frame=on_frame,
        )

    def made(self, job: Job) -> Path:
        """Return the hidden path of a result."""
        return partial_folder(job.target) / job.target.name

    def restored(self, record: Record, restored: RestoredVideo) -> Record:
        """Return the record completed by what was restored."""
        progress = restored.progress
        return replace(
            record.computed(restored.totals),
            notes=(*record.notes, *restored.notes),
            losses=(*record.losses, *restored.losses),
            output_size=restored.size,
            frames=progress.frames,
            waiting={name: round(load.waiting, 3) for name, load in progress.loads.items()},
        )

    def write(self, job: Job, content: VideoSource, result: None, record: Record) -> Record:
        """Verify a video that ``restore`` has written."""
        made = self.made(job)
        record = self._with_flicker(job, self._checked(job, record, made), made)
        if (frames := self._frame_output(job, record, content.footage.display_matrix)) is not None:
            assert record.frames is not None
            assert record.output_size is not None
            frames.keep(record.frames, record.output_size)
        flush(made)
        return replace(record, output_sha256=sha256_of(made))

    def place(self, job: Job) -> None:
        """Move a video to its target and delete its segments."""
        folder = partial_folder(job.target)
        (folder / job.target.name).replace(job.target)
        shutil.rmtree(folder, ignore_errors=True)

    def discard(self, job: Job) -> None:
        """Keep the segments: the next run resumes from them."""

    def _checked(self, job: Job, record: Record, made: Path) -> Record:
        """Record how a restored video differs from its source, and what the result cannot store."""
        if record.input_size is None or record.output_size is None:
            return record
        scale = record.output_size[0] // record.input_size[0]
        comparisons = compare_videos(job.source, made, self.options, scale=scale)
        unstored = [one for one in comparisons if not one.agrees and not one.is_fault]
        notes = summarized([one for one in unstored if one.name in _ROUNDED])
        losses = summarized([one for one in unstored if one.name not in _ROUNDED])
        differs = [str(one) for one in comparisons if one.is_fault]
        record = replace(record, notes=(*record.notes, *notes), losses=(*record.losses, *losses))
        return replace(record, differs=tuple(differs))

    def _with_flicker(self, job: Job, record: Record, made: Path) -> Record:
        """Record the flicker of a video, its source and its reference, if requested."""
        quality = None if self.references is None else self.references.find(job.relative, READABLE)
        reference = None if quality is None or quality.reference is None else Path(quality.reference)
        if reference is None and not self.flicker:
            return replace(record, quality=quality)
        try:
            errors = flicker_of_files(job.source, made, reference, self.options)
        except ImageError as error:
            return replace(record, quality=Quality(error=f"flicker: {one_line(error)}"))
        flicker = {name: asdict(error) for name, error in errors.items()}
        return replace(record, flicker=flicker, quality=quality if reference is None else None)

    def _frame_output(self, job: Job, record: Record, matrix: Matrix | None = None) -> FrameOutput | None:
        if self.options.frames_out is None:
            return None
        return FrameOutput(frames_place(job, self.options.frames_out), _identity(record), matrix)


def _identity(record: Record) -> str:
    """Return the identity of a job: input and chain."""
    return f"{record.input_sha256} {record.chain}"
