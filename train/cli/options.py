"""Options and arguments that several commands share, as types for their signatures."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import one_of
from train.precision import PRECISIONS

CONFIGS = Path(__file__).parents[2] / "configs" / "train"


def configs() -> list[str]:
    """Return the names of the training configurations in configs/train."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def find_config(text: str) -> Path:
    """Find a training configuration by its name, or take a YAML's path.

    Raises:
        typer.BadParameter: if it is neither.
    """
    if text in configs():
        return CONFIGS / f"{text}.yaml"
    if Path(text).suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"got {text!r}, expected a training YAML or one of {', '.join(configs())}")
    return Path(text)


def parse_time(text: str) -> timedelta:
    """Read ``HH:MM:SS``.

    Raises:
        typer.BadParameter: for anything else, and for no time at all.
    """
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        hours = minutes = seconds = 0
    time = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if time <= timedelta():
        raise typer.BadParameter(f"got {text!r}, expected HH:MM:SS such as 00:20:00")
    return time


Config = Annotated[
    Path,
    typer.Argument(
        parser=find_config,
        metavar="CONFIG",
        help=f"A training YAML, or one of configs/train: {', '.join(configs())}.",
    ),
]
Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH...",
        help="Folders of sharp images, or of pairs in folders named by their side, such as blur/ and sharp/, LQ/ and "
        "GT/; GoPro, RealBlur, REDS, DIV2K, Flickr2K; list files of pairs; one image.",
    ),
]
Validation = Annotated[
    list[Path] | None,
    typer.Option(
        "--val",
        metavar="PATH...",
        help="Images to validate on, none of them in --data. Without it, a few files of --data are held out.",
    ),
]
Precision = Annotated[
    str,
    one_of(PRECISIONS, "Number format; auto is mixed precision where the device is faster with it."),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Device that computes.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE...",
        help="Change values of the YAML, such as data.batch_size=8 schedule.kind=plateau.",
    ),
]
