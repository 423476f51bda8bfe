"""The command `degrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.cli.process import prepare


def degrade(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of clean images, with all below it.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the degraded images, new or empty.")
    ],
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="CONFIG.yaml", help="The degradation; see configs/degrade.")
    ],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the random numbers. [default: the YAML's, or 0]", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make a degraded test set, the same on every machine.

    Every image becomes a PNG of the same place and name; FOLDER/degradation.yaml records how the set was made.
    """
    prepare()

    from pipeline.chain.yaml_validation import read_yaml
    from train.degradation.degraded_set import DegradedSet, find_windows, refuse_overwriting, write_set

    settings = read_yaml(config, DegradedSet)
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    refuse_overwriting(source, output, overwrite=overwrite)
    windows = find_windows(source, output, settings)
    done = write_set(source, output, settings, windows)
    typer.echo(f"{output}: {len(done.files)} of {len(windows)} images")
    if len(done.files) < len(windows):
        raise typer.Exit(1)
