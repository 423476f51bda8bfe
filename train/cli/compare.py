"""The command `compare`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError
from train.cli import options
from train.cli.files import choose_files
from train.cli.process import prepare, silence_lightning


def compare(
    config: Annotated[
        list[Path],
        typer.Argument(
            parser=options.find_config, metavar="CONFIG...", help="Training YAMLs, or names of configs/train."
        ),
    ],
    data: options.Data,
    budget: Annotated[
        timedelta, typer.Option(parser=options.parse_time, metavar="HH:MM:SS", help="Training time of each network.")
    ],
    val: options.Validation = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of all runs and results.")
    ] = Path("runs/compare"),
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    changes: options.Changes = None,
) -> None:
    """Train several networks for the same time on the same data, and compare their cost and quality.

    Data, degradation and loss are those of the first configuration.
    """
    if len({path.stem for path in config}) < len(config):
        raise ConfigError("config: two configurations have the same name, which their results go by; rename one")
    prepare()

    from train.config import read_config

    trainings = {path.stem: read_config(path, changes or ()) for path in config}

    from train.evaluation.compare import Conditions, compare_networks

    silence_lightning()

    train_files, validation_files = choose_files(data, val, next(iter(trainings.values())))
    compare_networks(trainings, train_files, validation_files, Conditions(output, budget, device, precision))
