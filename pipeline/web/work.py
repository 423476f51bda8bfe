"""Do a job: restore a file by the batch code of the command line, or a part of it, and draw what the page shows."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.alpha import restored_like, visible_pixels
from pipeline.batch.batch import Batch
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.device.memory import release
from pipeline.device.process import give_back_freed_memory
from pipeline.engine.engine import Engine
from pipeline.html_report.previews import draw
from pipeline.images import ImageFile, read_image
from pipeline.system_files import RUN_LOG
from pipeline.video.options import READABLE as VIDEOS
from pipeline.video.options import VideoOptions
from pipeline.web.chains import Chains
from pipeline.web.jobs import Job
from pipeline.web.thumbnails import duration_of, frame_at

if TYPE_CHECKING:
    from pipeline.batch.job_kind import JobKind

PART = 256  # pixels of the input on a side
ENGINES_KEPT = 3
# The outputs of all stages are kept in memory until they are drawn.
MOST_PIXELS_WITH_STAGES = 16_000_000


class Worker:
    """Does the jobs of all visitors with one engine at a time.

    Args:
        chains: What is offered.
        max_pixels: Larger images are refused.
        device: As of ``Engine``.
    """

    def __init__(self, chains: Chains, max_pixels: int, device: str = "auto") -> None:
        self.chains = chains
        self.max_pixels = max_pixels
        self.device = device
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def do(self, job: Job) -> None:
        """Do a job; what becomes of it is noted in the job.

        Raises:
            Cancelled: if the visitor does not want it any more.
            RestorationError: if it cannot be done.
        """
        job.watch(0.0)
        config = self.chains.find(job.settings.chain).configured(job.settings)
        job.folder.mkdir(mode=0o700)
        if job.kind == "preview":
            self._preview(job, config)
        else:
            self._restore(job, config)

    def engine(self, config: ChainConfig) -> Engine:
        """Return an engine for a chain; those of other strengths share its prepared stages."""
        strengths = {name: stage.strength for name, stage in zip(config.names, config.stages, strict=True)}
        base = config.with_strengths(dict.fromkeys(strengths, 1.0))
        key = base.fingerprint()
        if key not in self._engines:
            while len(self._engines) >= ENGINES_KEPT:
                self._engines.popitem(last=False)
            self._engines[key] = Engine(Chain.build(base), device=self.device, backend="auto", compile="auto")
        self._engines.move_to_end(key)
        return self._engines[key].with_strengths(strengths)

    def rest(self) -> None:
        """Give the system back the memory that is kept for the next image."""
        for device in {engine.device for engine in self._engines.values()}:
            release(device)
        give_back_freed_memory()

    def _restore(self, job: Job, config: ChainConfig) -> None:
        found = plan([str(job.source)], job.folder, ext=None if _is_video(job.source) else job.settings.format)
        with closing(RunLog(job.folder / RUN_LOG)) as run_log:
            steps = JobSteps(config, job.folder, lambda: self.engine(config), self._kinds(job))
            batch = Batch(steps, run_log, listener=_Previews(job, config))
            batch.run(found, lambda record: None, lambda _, progress: job.watch(_share(progress)))

    def _kinds(self, job: Job) -> dict[str, JobKind]:
        if not _is_video(job.source):
            few = job.pixels <= MOST_PIXELS_WITH_STAGES
            return {"image": ImageJobs(keep_stages=lambda: few, max_pixels=self.max_pixels)}

        from pipeline.batch.video_jobs import VideoJobs

        return {"video": VideoJobs(VideoOptions())}

    def _preview(self, job: Job, config: ChainConfig) -> None:
        image = read_image(job.source, self.max_pixels)
        part = _cut(image, job.centre)
        engine = self.engine(config).for_image(visible_pixels(image), image.luma_table)  # as the whole will be
        restoration = engine.run(visible_pixels(part), keep_stages=True, watch=job.watch)
        after = {name: restored_like(part, pixels) for name, pixels in restoration.stages.items()}
        job.record = Record(job.source.name, None, "done", noise_levels=restoration.noise_levels).computed(restoration)
        job.views = draw(job.folder, part, after, None)


class _Previews:
    """Completes a job by its record, and draws what the page shows, as soon as the result is there."""

    def __init__(self, job: Job, config: ChainConfig) -> None:
        self.job = job
        self.config = config

    def add(self, record: Record, content: Any, result: Any) -> None:
        """Keep the record, and draw the input and the output of every stage."""
        self.job.record, self.job.error = record, record.error
        if record.status != "done":
            return
        self.job.output = output = self.job.folder / str(record.output)
        folder = self.job.folder / ".previews"
        folder.mkdir()
        if isinstance(content, ImageFile):
            stages = result.stages or {self.config.names[-1]: result.pixels}
            before, after = content, {name: restored_like(content, pixels) for name, pixels in stages.items()}
        else:
            middle = duration_of(self.job.source) / 2
            before, after = frame_at(self.job.source, middle), {self.config.names[-1]: frame_at(output, middle)}
        self.job.views = draw(folder, before, after, None)


def _share(progress: Any) -> float:
    """Return the share of an image or a video that is done."""
    if isinstance(progress, float):
        return progress
    return min(1.0, progress.frames / progress.total) if progress.total else 0.0


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def _cut(image: ImageFile, centre: tuple[float, float]) -> ImageFile:
    """Return the part around a point, given as shares of width and height; whole where the image is smaller."""
    height, width = image.pixels.shape[:2]
    left = round(min(max(centre[0] * width - PART / 2, 0), max(width - PART, 0)))
    top = round(min(max(centre[1] * height - PART / 2, 0), max(height - PART, 0)))
    place = slice(top, top + PART), slice(left, left + PART)
    alpha = None if image.alpha is None else image.alpha[place].copy()
    return replace(image, pixels=image.pixels[place].copy(), alpha=alpha)
