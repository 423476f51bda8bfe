"""The command line: options in, restored folders and readable errors out.

Exit codes: 0 all done; 1 some inputs failed, were refused, could not be judged, or differ from their source, or the
disk is full; 2 wrong use or config, nothing was started; 130 interrupted, finished files stay. Heavy imports stand
inside functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from pipeline.cli import restore_options as options
from pipeline.cli import video_options as video
from pipeline.cli.outcome import run_batch
from pipeline.cli.terminal import OUT, explained, printable, say_error
from pipeline.device.process import keep_freed_memory, let_waiting_threads_sleep
from pipeline.errors import ConfigError, RestorationError

if TYPE_CHECKING:
    from pipeline.batch.plan import Job
    from pipeline.batch.video_jobs import VideoJobs
    from pipeline.chain.config import ChainConfig
    from pipeline.engine.engine import Engine
    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.html_report import HtmlReport
    from pipeline.video.options import VideoOptions

DEFAULT_CHAIN = Path(__file__).resolve().parents[2] / "configs" / "restore_x2.yaml"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(no_args_is_help=True)
def restore(
    context: typer.Context,
    inputs: options.Inputs = None,
    output: options.Output = None,
    chain: options.ChainFile = DEFAULT_CHAIN,
    strength: options.Strength = None,
    check: options.Check = False,
    profile: options.Profile = None,
    verify: video.Verify = False,
    ext: options.Ext = None,
    suffix: options.Suffix = "",
    overwrite: options.Overwrite = False,
    save_stages: options.SaveStages = False,
    reference: options.Reference = None,
    lpips: options.LearnedDistance = False,
    attention: options.Attention = None,
    device: options.Device = "auto",
    precision: options.NumberFormat = options.Precision.AUTO,
    backend: options.Backend = options.BackendName.AUTO,
    compile: options.Compile = options.CompileWhen.AUTO,
    tile: options.Tile = "auto",
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
    """Restore images and videos by a chain of stages: denoise, deblur, enlarge, sharpen, or whatever the YAML says.

    Run it again to go on after an interruption, or for files that were added: what is finished is skipped.
    """
    with explained():
        strengths = dict(map(_parse_strength, strength or []))
        paths = list(map(Path, inputs or []))
        if check:
            return _check(paths or [chain], strengths)
        if profile is not None:
            return _profile(paths or [chain], strengths, profile, output)
        films = video.parse_video_options(context.params)
        if verify:
            sys.exit(_verify(paths, films, flicker=flicker))
        if not inputs or output is None:
            raise ConfigError("expected INPUT... and -o FOLDER, such as: run_pipeline.py photos -o restored")

        from pipeline.batch.batch import Batch
        from pipeline.batch.output import reserved
        from pipeline.batch.plan import Job, plan
        from pipeline.batch.run_log import RunLog, split_paths
        from pipeline.chain.config import load_chain_config

        engine_options = {
            "device": device,
            "precision": precision.value,
            "tile": _parse_tile(tile),
            "backend": backend.value,
            "compile": compile.value,
        }
        judge = _make_judge(reference, lpips=lpips)
        config = load_chain_config(chain).with_strengths(strengths)
        found = plan(inputs, output, ext=ext, suffix=suffix, video=films)
        jobs = [entry for entry in found if isinstance(entry, Job)]
        if attention is not None:
            _refuse_beside_attention({"--reference": reference, "--report": report, "--save-stages": save_stages})
            sys.exit(_inspect(config, attention, device, jobs))
        for note in video.notes_on_image_options(jobs, {"--ext": ext, "--save-stages": save_stages}):
            if not quiet:
                OUT.print(f"note: {note}")
        ledger_path, page_path = split_paths(report or [], output)
        with (
            reserved(output),
            closing(RunLog(ledger_path)) as ledger,
            _make_page(page_path, config, output, ledger_path) as page,
        ):
            work = Batch(
                config,
                output,
                ledger,
                partial(_make_engine, config, engine_options),
                precision=precision.value,
                overwrite=overwrite,
                save_stages=save_stages,
                judge=judge,
                page=page,
                films=_make_film_jobs(jobs, films, flicker=flicker, judge=judge),
            )
            sys.exit(run_batch(work, found, quiet=quiet))


def main() -> None:
    """Run the command line, as ``restorechain`` and ``run_pipeline.py`` do."""
    let_waiting_threads_sleep()
    keep_freed_memory()
    app()


def _check(chains: Iterable[Path], strengths: Mapping[str, float]) -> None:
    from pipeline.chain.description import check_chains

    for line in check_chains(chains, strengths):
        OUT.print(line)


def _profile(chains: Iterable[Path], strengths: Mapping[str, float], size: str, output: Path | None) -> None:
    from pipeline.chain.costs import profile_chains

    for table in profile_chains(chains, strengths, size, output):
        OUT.print(table, soft_wrap=False)


def _verify(paths: Sequence[Path], chosen: VideoOptions, *, flicker: bool) -> int:
    """Compare a film with its source; return the exit code."""
    from pipeline.cli.verification import verify_videos

    return verify_videos(paths, chosen, OUT, flicker=flicker)


def _refuse_beside_attention(given: Mapping[str, object]) -> None:
    if idle := [name for name, value in given.items() if value]:
        raise ConfigError(f"--attention: draws instead of restoring; leave out {' and '.join(idle)}, or --attention")


def _inspect(config: ChainConfig, attention: str, device: str, jobs: list[Job]) -> int:
    """Look into a stage for all jobs; return the exit code."""
    from pipeline.images import read_image
    from pipeline.inspection.inspector import Inspector

    inspector, failed = Inspector(config, attention, device), False
    for job in jobs:
        if job.kind != "image":
            say_error(f"refused: {job.source}: is a film; --attention looks into pictures")
            failed = True
            continue
        try:
            told = inspector.inspect(read_image(job.source).pixels, Path(f"{job.target}.attention"))
        except RestorationError as error:
            say_error(f"failed: {job.source}: {error}")
            failed = True
        else:
            OUT.print(printable(f"{job.source}: {'; '.join(told)}"))
    return 1 if failed else 0


def _make_engine(config: ChainConfig, chosen: dict[str, Any]) -> Engine:
    from pipeline.chain.chain import Chain
    from pipeline.engine.engine import Engine

    return Engine(Chain.build(config), **chosen)


def _make_film_jobs(
    jobs: list[Job], chosen: VideoOptions, *, flicker: bool, judge: ReferenceComparison | None
) -> VideoJobs | None:
    if all(job.kind == "image" for job in jobs):
        return None

    from pipeline.batch.video_jobs import VideoJobs

    return VideoJobs(chosen, flicker=flicker, references=judge)


def _make_judge(folder: Path | None, *, lpips: bool) -> ReferenceComparison | None:
    if folder is None:
        if lpips:
            raise ConfigError("--lpips compares with references; give --reference FOLDER, too")
        return None

    from pipeline.evaluation.comparison import ReferenceComparison
    from pipeline.evaluation.lpips import Lpips

    return ReferenceComparison(folder, Lpips() if lpips else None)


def _make_page(
    path: Path | None, config: ChainConfig, output: Path, ledger: Path
) -> AbstractContextManager[HtmlReport | None]:
    if path is None:
        return nullcontext()

    from pipeline.html_report import HtmlReport

    return closing(HtmlReport(path, config, output, ledger))


def _parse_tile(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise ConfigError(f"--tile: got {text!r}, expected a number of pixels, 0 for none, or auto")
    return int(text)


def _parse_strength(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError as error:
        raise ConfigError(f"--strength: got {text!r}, expected STAGE=NUMBER, such as dncnn=0.5") from error
