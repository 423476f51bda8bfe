"""Restore videos as a batch does, and read what it wrote."""

from collections.abc import Callable
from pathlib import Path

import av

from pipeline.batch.batch import Batch
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.video_jobs import VideoJobs
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.video.options import VideoOptions
from stages.unsharp_mask import UnsharpMaskConfig

CHAIN = ChainConfig(stages=(UnsharpMaskConfig(strength=0.0),))


def restore_batch(
    folder: Path,
    *inputs: str,
    config: ChainConfig = CHAIN,
    watch: Callable = lambda job, progress: None,
    flicker: bool = False,
    references: ReferenceComparison | None = None,
    **options,
) -> list[Record]:
    """Restore inputs below a folder to ``folder/out``."""
    chosen = VideoOptions(**options)
    jobs = plan([str(folder / text) for text in inputs], folder / "out", video=chosen)
    report = RunLog(folder / "out/restoration.jsonl")
    engine = Engine(Chain.build(config), device="cpu")
    videos = VideoJobs(chosen, flicker=flicker, references=references)
    records: list[Record] = []
    try:
        kinds = {"image": ImageJobs((), references), "video": videos, "frames": videos}
        Batch(JobSteps(config, folder / "out", lambda: engine, kinds), report).run(jobs, records.append, watch)
    finally:
        report.close()
    return records


def packets(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def images(folder: Path) -> list[str]:
    return sorted(name for name in files(folder) if name.endswith(".png"))


def stop_at(frame: int) -> Callable:
    def stop(job, progress):
        if progress.fresh == frame:
            raise KeyboardInterrupt

    return stop
