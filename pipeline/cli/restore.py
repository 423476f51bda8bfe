"""`restorechain restore`: images and videos through a chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import typer

from pipeline.cli import option_values, options
from pipeline.cli import video_options as video
from pipeline.cli.chain_choice import AnyChainFile, default_chains, named_chain
from pipeline.cli.interruption import ended_at_once_by_a_second
from pipeline.cli.outcome import run_batch
from pipeline.cli.terminal import OUT

if TYPE_CHECKING:
    from pipeline.batch.final_step import Recorder
    from pipeline.batch.runner import BatchRunner
    from pipeline.batch.settings import RestoreSettings
    from pipeline.cli.chain_choice import ChosenChains
    from pipeline.cli.places import Places
    from pipeline.html_report import HtmlReport


def restore(
    context: typer.Context,
    inputs: options.Inputs,
    output: options.ResultPlace,
    chain: AnyChainFile = None,
    strength: options.Strength = None,
    noise_level: options.NoiseLevel = None,
    ext: options.Ext = None,
    suffix: options.Suffix = "",
    overwrite: options.Overwrite = False,
    strict: options.Strict = False,
    save_stages: options.SaveStages = False,
    reference: options.Reference = None,
    lpips: options.LearnedDistance = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    backend: options.Backend = "auto",
    compile: options.Compile = "auto",
    tile: options.Tile = "auto",
    max_pixels: options.MaxPixels = None,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    shard: options.ShardOption = None,
    offline: options.Offline = False,
    accept_licence: options.AcceptedLicences = None,
    report: options.Reports = None,
    progress: options.ShownProgress = "bar",
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
    flicker: video.Flicker = False,
) -> None:
    """Restore images and videos.

    A chain of stages, denoise, deblur, upscale, sharpen, or whatever the YAML says, runs over every input. Without
    --chain, images and videos are each restored by their own: the frames of a video help each other.

    Run it again to resume after an interruption, or for files that were added: what is finished is skipped.
    """
    from pipeline.batch.settings import RestoreSettings
    from pipeline.batch.shard import Shard
    from pipeline.chain.downloads import download_missing
    from pipeline.cli.places import find_places, plan_inputs
    from pipeline.images import PIXEL_LIMIT

    chosen = video.parse_video_options(context.params)
    engine_options = {
        "device": device,
        "precision": precision,
        "tile": option_values.parse_tile(tile),
        "backend": backend,
        "compile": compile,
    }
    option_values.refuse_detail_without_workers(progress, workers, cluster)
    blends = option_values.parse_strengths(strength), option_values.parse_noise_levels(noise_level)
    named = None if chain is None else named_chain(chain, *blends)  # its errors need no list of the inputs
    share = None if shard is None else Shard.parse(shard)
    places = find_places(output, report or [], share)
    planned = plan_inputs(inputs, output, ext, suffix, chosen, context.params, share)
    for note in planned.notes:
        if not quiet:
            OUT.print(f"note: {note}")
    chains = named or default_chains(*blends, images=planned.images, videos=planned.videos)
    for config in filter(None, chains):
        download_missing(config, offline=offline, accepted=accept_licence or ())
    settings = RestoreSettings(
        chains.config,
        places.output,
        engine_options,
        chosen if planned.videos else None,
        chains.videos,
        references=reference,
        lpips=lpips,
        save_stages=save_stages,
        flicker=flicker,
        max_pixels=max_pixels or PIXEL_LIMIT,
        overwrite=overwrite,
        objects=planned.total is None,
        strict=strict,
    )
    with (
        ended_at_once_by_a_second(),
        places.opened(share) as run_log,
        _make_report(places, chains) as html_report,
        _make_batch(settings, run_log, html_report, option_values.parse_workers(workers), cluster) as batch_of_jobs,
    ):
        detail = progress == "detail"
        raise typer.Exit(
            run_batch(batch_of_jobs, planned.entries, planned.total, html_report, quiet=quiet, detail=detail)
        )


@contextmanager
def _make_batch(
    settings: RestoreSettings,
    run_log: Recorder,
    html_report: HtmlReport | None,
    workers: int | Literal["auto"] | None,
    cluster: str | None,
) -> Iterator[BatchRunner]:
    if workers is None and cluster is None:
        from pipeline.batch.batch import Batch

        shown = (lambda: html_report.has_room) if html_report is not None else (lambda: False)
        yield Batch(settings.make_steps(shown), run_log, listener=html_report)
    else:
        from pipeline.cluster.batch import cluster_batch

        with cluster_batch(settings, run_log, workers or "auto", cluster, listener=html_report) as batch:
            yield batch


def _make_report(places: Places, chains: ChosenChains) -> AbstractContextManager[HtmlReport | None]:
    if places.report is None:
        return nullcontext()

    from pipeline.html_report import HtmlReport

    return closing(HtmlReport(places.report, chains.config, places.output, places.log, chains.videos))
