"""Options that several commands share, as types for their signatures.

``option_values`` reads their texts; options for videos stand in ``video_options``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.backends.choice import BACKENDS, COMPILE
from pipeline.device.precision import PRECISIONS

DEFAULT_CHAIN = Path(__file__).resolve().parents[2] / "configs" / "restore_x2.yaml"
_RESULT, _COMPUTING, _REPORTING = "What is written", "How it is computed", "What is reported"


def one_of(names: Sequence[str], help_text: str, **settings: Any) -> Any:
    """Build an option that takes one of a table's names."""

    def parse(text: str) -> str:
        if text not in names:
            raise typer.BadParameter(f"got {text!r}, expected one of {', '.join(names)}")
        return text

    return typer.Option(
        help=help_text, metavar="|".join(names), parser=parse, autocompletion=lambda: list(names), **settings
    )


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Images, videos, folders (with all below them), globs; or one URL such as s3://bucket/photos.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FOLDER", help="Where the results go; the inputs' tree is kept."),
]
ResultPlace = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FOLDER|URL",
        help="Where the results go, a folder or a prefix such as s3://bucket/restored; the inputs' tree is kept.",
    ),
]
ChainFile = Annotated[
    Path,
    typer.Option("-c", "--chain", metavar="YAML", help="The stages, in order.", show_default="configs/restore_x2.yaml"),
]
Chains = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[YAML]...", help="Chains; by default configs/restore_x2.yaml.", show_default=False),
]
Strength = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STAGE=NUMBER|auto",
        help="Blend a stage's output (1) with its input (0), e.g. dncnn=0.5; auto: as the image needs it. Repeatable.",
    ),
]
NoiseLevel = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STAGE=NUMBER",
        help="Standard deviation of the noise in 8-bit gray levels, 0 to 75, instead of the estimated one, "
        "e.g. dncnn=12; for stages that take one. Repeatable.",
    ),
]
Ext = Annotated[
    str | None,
    typer.Option(
        help="File type of restored images: png, jpg, webp, tif ... By default each input's own, or png.",
        rich_help_panel=_RESULT,
    ),
]
Suffix = Annotated[str, typer.Option(help="Added to names: photo.jpg -> photoSUFFIX.jpg.", rich_help_panel=_RESULT)]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Redo finished files and replace files of other origin.", rich_help_panel=_RESULT),
]
SaveStages = Annotated[
    bool,
    typer.Option(
        "--save-stages",
        help="Also write the image after every stage, to RESULT.stages/1_dncnn.png ...",
        rich_help_panel=_RESULT,
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="What the results should be, by the inputs' tree and names: prints PSNR and SSIM after every stage "
        "and without it, and writes OUTPUT/metrics.csv. Takes as many times longer as there are stages. "
        "Of videos, it measures the flicker.",
        rich_help_panel=_REPORTING,
    ),
]
LearnedDistance = Annotated[
    bool,
    typer.Option(
        "--lpips",
        help="With --reference, also measure LPIPS, a learned distance (AlexNet, downloaded once).",
        rich_help_panel=_REPORTING,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_COMPUTING)]
Precision = Annotated[
    str,
    one_of(
        PRECISIONS,
        "auto: half on a GPU, fp32 on a CPU. int8: by OpenVINO, in the stages that lose next to nothing.",
        rich_help_panel=_COMPUTING,
    ),
]
Backend = Annotated[
    str,
    one_of(
        BACKENDS,
        "auto: on a CPU the fastest that is installed (extra cpu); else torch. `doctor` says which.",
        rich_help_panel=_COMPUTING,
    ),
]
Compile = Annotated[
    str,
    one_of(
        COMPILE,
        "Compile the networks on a CUDA device; auto: for sizes that come often.",
        rich_help_panel=_COMPUTING,
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
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Refuse images with more pixels than this, which may be decompression bombs; by default 268435456.",
        show_default=False,
        rich_help_panel=_COMPUTING,
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Restore by so many processes side by side (extra cluster). auto: one for each GPU, or else each core.",
        show_default=False,
        rich_help_panel=_COMPUTING,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Restore by the machines of a running Ray cluster (extra cluster), which share the folders.",
        show_default=False,
        rich_help_panel=_COMPUTING,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="RESTORECHAIN_OFFLINE",
        help="Download no weights; stop where a chain names published ones that are not here.",
        show_envvar=False,
        rich_help_panel=_COMPUTING,
    ),
]
AcceptedLicences = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-licence",
        metavar="NAME",
        help="Download these published weights although their licence restricts their use. Repeatable.",
        show_default=False,
        rich_help_panel=_COMPUTING,
    ),
]
ShownProgress = Annotated[
    str,
    one_of(
        ("bar", "detail"),
        "bar: of all inputs, and of the video at hand. detail: also what each worker is doing.",
        rich_help_panel=_REPORTING,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="NUMBER/COUNT",
        help="Take care of a share of the inputs only: 3/16 is the third of sixteen runs.",
        show_default=False,
        rich_help_panel=_COMPUTING,
    ),
]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A name in .html: a page with before and after, every stage, scores and times. Any other: the run log, "
        "one JSON line per input, by which the next run knows what is finished (OUTPUT/restoration.jsonl). "
        "Once for each.",
        show_default=False,
        rich_help_panel=_REPORTING,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and losses.", rich_help_panel=_REPORTING)]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail where a result would lack something of its input (metadata, a stream), or a frame is damaged, "
        "instead of warning.",
        rich_help_panel=_RESULT,
    ),
]
