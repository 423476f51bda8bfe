"""The commands that look at chains, images and videos without restoring them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import option_values, options
from pipeline.cli import video_options as video
from pipeline.cli.chain_choice import DEFAULT_VIDEO_CHAIN
from pipeline.cli.terminal import OUT, say_error
from pipeline.text import printable


def check(chains: options.Chains = None, strength: options.Strength = None) -> None:
    """Validate chains and their weights.

    Prints what each stage asks of its input.
    """
    from pipeline.chain.description import check_chains

    for line in check_chains(chains or [options.DEFAULT_CHAIN], option_values.parse_strengths(strength)):
        OUT.print(line)


def profile(
    chains: options.Chains = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Of the image.")] = "640x360",
    strength: options.Strength = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Also draw bars, to FOLDER/CHAIN.profile.png."),
    ] = None,
) -> None:
    """Count parameters, MACs and activations.

    For one image of a size, by stage and by layer.
    """
    from pipeline.chain.costs import profile_chains

    for table in profile_chains(
        chains or [options.DEFAULT_CHAIN], option_values.parse_strengths(strength), size, output
    ):
        OUT.print(table, soft_wrap=False)


def verify(
    source: Annotated[Path, typer.Argument(help="A video, or a folder of frames.", show_default=False)],
    result: Annotated[Path, typer.Argument(help="What was made of it.", show_default=False)],
    start: video.Start = None,
    duration: video.Duration = None,
    fps: video.Fps = None,
    flicker: video.Flicker = False,
) -> None:
    """Compare a restored video with its source.

    Frames, timestamps, sound, other streams, metadata and colour tags. Exits with 1 if they differ.
    """
    from pipeline.cli.verification import verify_videos
    from pipeline.video.options import VideoOptions

    shown = VideoOptions(start=start or 0.0, duration=duration, fps=fps)
    raise typer.Exit(verify_videos(source, result, shown, OUT, flicker=flicker))


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 7860,
    chain: Annotated[
        list[Path] | None,
        typer.Option(
            "-c",
            "--chain",
            metavar="YAML",
            help="Offer this chain. Repeatable; the first is the default. By default those of configs/ that need "
            "no download; photos and clips have a default of their own, as in restore.",
            show_default=False,
        ),
    ] = None,
    auth: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Let in only those with a line NAME:PASSWORD in FILE.", show_default=False),
    ] = None,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Refuse larger photos.")] = 50,
    device: options.Device = "auto",
) -> None:
    """Restore photos and clips in the browser.

    Opens a page for this machine only; nothing is sent anywhere else. Needs the extra web.
    """
    from pipeline.chain.downloads import complete_chains
    from pipeline.web.server import serve

    chains = chain or [options.DEFAULT_CHAIN, *complete_chains(options.DEFAULT_CHAIN.parent)]
    serve(
        chains,
        clips=DEFAULT_VIDEO_CHAIN if chain is None else None,
        host=host,
        port=port,
        auth=auth,
        max_megapixels=max_megapixels,
        device=device,
        say=OUT.print,
    )


def attention(
    stage: Annotated[str, typer.Argument(metavar="STAGE[:LAYER]", help="Of the chain.", show_default=False)],
    inputs: options.Inputs,
    output: options.Output,
    chain: options.ChainFile = options.DEFAULT_CHAIN,
    device: options.Device = "auto",
) -> None:
    """Draw what a stage's output depends on.

    Heat maps of its levels over each image, and its effective receptive field, written to OUTPUT/IMAGE.attention,
    a folder for each image.
    """
    from pipeline.batch.job import Job
    from pipeline.batch.plan import plan
    from pipeline.chain.config import load_chain_config
    from pipeline.errors import RestorationError
    from pipeline.images import read_image
    from pipeline.inspection.inspector import Inspector

    inspector, failed = Inspector(load_chain_config(chain), stage, device), False
    for job in plan(inputs, output):
        if not isinstance(job, Job) or job.kind != "image":
            say_error(f"refused: {job.source}: is no image; attention draws images only")
            failed = True
            continue
        try:
            lines = inspector.inspect(read_image(job.source).pixels, Path(f"{job.target}.attention"))
        except RestorationError as error:
            say_error(f"failed: {job.source}: {error}")
            failed = True
        else:
            OUT.print(printable(f"{job.source}: {'; '.join(lines)}"))
    raise typer.Exit(1 if failed else 0)
