"""The command line's options, as types for its signature; those for videos stand in ``pipeline.cli.video_options``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_RESULT, _COMPUTING, _REPORTING = "What is written", "How it is computed", "What is told"


class Precision(StrEnum):
    """Number format of the networks."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


class BackendName(StrEnum):
    """What runs the networks."""

    AUTO = "auto"
    TORCH = "torch"
    NCNN = "ncnn"
    OPENVINO = "openvino"


class CompileWhen(StrEnum):
    """When torch compiles the networks."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT...", help="Images, videos, folders (with all below them) and globs.", show_default=False
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Where the results go; the inputs' tree is kept."),
]
ChainFile = Annotated[
    Path,
    typer.Option("-c", "--chain", metavar="YAML", help="The stages, in order.", show_default="configs/restore_x2.yaml"),
]
Strength = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STAGE=NUMBER",
        help="Blend a stage's output (1) with its input (0), e.g. dncnn=0.5. Repeatable.",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Only check the chain (--check YAML, or -c) and show its stages.")]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT",
        help="Only count what a chain (--profile 640x360 YAML, or -c) costs for an image of this size: parameters, "
        "MACs and activations of its stages and layers; with -o also as bars, FOLDER/CHAIN.profile.png.",
    ),
]
Ext = Annotated[
    str | None,
    typer.Option(
        help="File type of restored pictures: png, jpg, webp, tif ... By default each input's own, or png.",
        rich_help_panel=_RESULT,
    ),
]
Suffix = Annotated[str, typer.Option(help="Added to names: photo.jpg -> photoSUFFIX.jpg.", rich_help_panel=_RESULT)]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Redo finished files and replace files that are not ours.", rich_help_panel=_RESULT
    ),
]
SaveStages = Annotated[
    bool,
    typer.Option(
        "--save-stages",
        help="Also write the picture after every stage, to RESULT.stages/1_dncnn.png ...",
        rich_help_panel=_RESULT,
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="What the results should be, by the inputs' tree and names: tells PSNR and SSIM after every stage "
        "and without it, and writes OUTPUT/metrics.csv. Takes as many times longer as there are stages. "
        "Of videos, it tells the flicker.",
        rich_help_panel=_REPORTING,
    ),
]
LearnedDistance = Annotated[
    bool,
    typer.Option(
        "--lpips",
        help="With --reference, tell LPIPS, too: how different pictures look to a network (AlexNet, downloaded once).",
        rich_help_panel=_REPORTING,
    ),
]
Attention = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE[:LAYER]",
        help="Instead of restoring, draw what a stage's work depends on: heat maps of its levels over each image, "
        "and its effective receptive field, into RESULT.attention.",
        rich_help_panel=_REPORTING,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_COMPUTING)]
NumberFormat = Annotated[
    Precision,
    typer.Option(
        help="auto: half on a GPU, fp32 on a CPU. int8: by OpenVINO, in the stages that lose next to nothing.",
        rich_help_panel=_COMPUTING,
    ),
]
Backend = Annotated[
    BackendName,
    typer.Option(
        help="auto: on a CPU where restorechain\\[cpu] is installed, ncnn for fp32 and OpenVINO for int8; else torch.",
        rich_help_panel=_COMPUTING,
    ),
]
Compile = Annotated[
    CompileWhen,
    typer.Option(
        help="Compile the networks on a CUDA device; auto: for sizes that come often.", rich_help_panel=_COMPUTING
    ),
]
Tile = Annotated[
    str,
    typer.Option(
        metavar="PIXELS|auto|0",
        help="Longest side of the tiles in input pixels; 0: the whole image at once; auto: what memory allows.",
        rich_help_panel=_COMPUTING,
    ),
]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A name in .html: a page to look at, with before and after, every stage, figures and time. Any other: "
        "one JSON line per input, which tells the next run what is finished (OUTPUT/restoration.jsonl). "
        "Once for each.",
        show_default=False,
        rich_help_panel=_REPORTING,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors.", rich_help_panel=_REPORTING)]
