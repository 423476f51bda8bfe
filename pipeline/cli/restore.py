"""`restorechain restore`: images and videos through a chain."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipeline.cli import options
from pipeline.cli import video_options as video
from pipeline.cli.outcome import run_batch
from pipeline.cli.terminal import OUT
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.batch.job import Job
    from pipeline.batch.job_kind import JobKind
    from pipeline.chain.config import ChainConfig
    from pipeline.engine.engine import Engine
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.html_report import HtmlReport
    from pipeline.video.options import VideoOptions


def restore(
    context: typer.Context,
    inputs: options.Inputs,
    output: options.Output,
    chain: options.ChainFile = options.DEFAULT_CHAIN,
    strength: options.Strength = None,
    noise_level: options.NoiseLevel = None,
    ext: options.Ext = None,
    suffix: options.Suffix = "",
    overwrite: options.Overwrite = False,
    save_stages: options.SaveStages = False,
    reference: options.Reference = None,
    lpips: options.LearnedDistance = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    backend: options.Backend = "auto",
    compile: options.Compile = "auto",
    tile: options.Tile = "auto",
    max_pixels: options.MaxPixels = None,
    report: options.Reports = None,
    quiet: options.Quiet = False,
    codec: video.Codec = None,
    crf: video.Crf = None,
    preset: video.Preset = None,
    pix_fmt: video.PixFmt = None,
    container: video.Container = None,
    start: video.Start = None,
    duration: video.Duration = None,
    frames_out: video.FramesOut = None,
    fps: video.Fps = None,
    batch: video.FrameBatch = None,
    deinterlace: video.Deinterlace = False,
    strict: video.Strict = False,
    flicker: video.Flicker = False,
) -> None:
    """Restore images and videos.

    A chain of stages, denoise, deblur, upscale, sharpen, or whatever the YAML says, runs over every input.

    Run it again to resume after an interruption, or for files that were added: what is finished is skipped.
    """
    from pipeline.batch.batch import Batch
    from pipeline.batch.job import Job
    from pipeline.batch.job_steps import JobSteps
    from pipeline.batch.output import reserved
    from pipeline.batch.plan import plan
    from pipeline.batch.run_log import RunLog, split_paths
    from pipeline.chain.config import load_chain_config

    chosen = video.parse_video_options(context.params)
    engine_options = {
        "device": device,
        "precision": precision,
        "tile": options.parse_tile(tile),
        "backend": backend,
        "compile": compile,
    }
    comparison = _make_comparison(reference, lpips=lpips)
    config = load_chain_config(chain).with_strengths(options.parse_strengths(strength))
    config = config.with_noise_levels(options.parse_noise_levels(noise_level))
    found = plan(inputs, output, ext=ext, suffix=suffix, video=chosen)
    jobs = [entry for entry in found if isinstance(entry, Job)]
    video.refuse_without_videos(jobs, context.params)
    for note in video.notes_on_image_options(jobs, {"--ext": ext, "--save-stages": save_stages}):
        if not quiet:
            OUT.print(f"note: {note}")
    log_path, report_path = split_paths(report or [], output)
    with (
        reserved(output),
        closing(RunLog(log_path)) as run_log,
        _make_report(report_path, config, output, log_path) as html_report,
    ):
        steps = JobSteps(
            config,
            output,
            partial(_make_engine, config, engine_options),
            _make_kinds(
                jobs,
                config,
                chosen,
                comparison,
                html_report,
                save_stages=save_stages,
                flicker=flicker,
                max_pixels=max_pixels,
            ),
            precision=precision,
            overwrite=overwrite,
        )
        batch_of_jobs = Batch(steps, run_log, listener=html_report)
        raise typer.Exit(run_batch(batch_of_jobs, found, html_report, quiet=quiet))


def _make_engine(config: ChainConfig, chosen: dict[str, Any]) -> Engine:
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import Engine

    return Engine(Chain.build(config), **chosen)


def _make_kinds(
    jobs: list[Job],
    config: ChainConfig,
    chosen: VideoOptions,
    comparison: ReferenceComparison | None,
    html_report: HtmlReport | None,
    *,
    save_stages: bool,
    flicker: bool,
    max_pixels: int | None,
) -> dict[str, JobKind]:
    """Return how each kind of job is done; what videos need is imported only if there are any."""
    from pipeline.batch.image_jobs import ImageJobs
    from pipeline.images import PIXEL_LIMIT

    shown = (lambda: html_report.has_room) if html_report is not None else (lambda: False)
    kinds: dict[str, JobKind] = {
        "image": ImageJobs(config.names if save_stages else (), comparison, shown, max_pixels or PIXEL_LIMIT)
    }
    if any(job.kind != "image" for job in jobs):
        from pipeline.batch.video_jobs import VideoJobs

        kinds["video"] = kinds["frames"] = VideoJobs(chosen, flicker=flicker, references=comparison)
    return kinds


def _make_comparison(folder: Path | None, *, lpips: bool) -> ReferenceComparison | None:
    if folder is None:
        if lpips:
            raise ConfigError("lpips: compares with references, expected also --reference FOLDER")
        return None

    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.evaluation.lpips import Lpips

    return ReferenceComparison(folder, Lpips() if lpips else None)


def _make_report(
    path: Path | None, config: ChainConfig, output: Path, run_log: Path
) -> AbstractContextManager[HtmlReport | None]:
    if path is None:
        return nullcontext()

    from pipeline.html_report import HtmlReport

    return closing(HtmlReport(path, config, output, run_log))
