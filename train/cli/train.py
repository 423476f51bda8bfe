"""The command `train`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from train.cli import options
from train.cli.files import choose_files
from train.cli.process import prepare, silence_lightning


def train(
    config: options.Config,
    data: options.Data,
    val: options.Validation = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder of the run, new without --resume. [default: runs/CONFIG]"
        ),
    ] = None,
    max_time: Annotated[
        timedelta | None,
        typer.Option(
            parser=options.parse_time, metavar="HH:MM:SS", help="Budget of time, that before --resume included."
        ),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Budget of epochs, those before --resume included.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    init: Annotated[
        Path | None, typer.Option(metavar="WEIGHTS", help="Weights file, or shipped name, to start from.")
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(
            metavar="CHAIN.yaml",
            help="Train on the degraded images as the stages before it in this chain leave them. "
            "--set chain.loss_on=chain compares the whole chain's result; chain.stage=dncnn_2 names one of several "
            "stages of a kind.",
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Train on N devices, each with the configured batch size.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Train on N machines with --devices each, started by torchrun.")
    ] = 1,
    precision: options.Precision = "auto",
    device: options.Device = "auto",
    changes: options.Changes = None,
) -> None:
    """Train one stage.

    Without a budget (--max-time, --max-epochs) the learning rate is reduced on plateaus of the validation PSNR until
    early stopping; with one it is annealed within the budget.
    """
    in_chain = [f"chain.file={json.dumps(str(chain.resolve()))}"] if chain else []
    prepare()

    from train.training import read_training

    training = read_training(config, [*in_chain, *(changes or ())])

    from lightning.pytorch.utilities import rank_zero_only

    from train.fit import fit
    from train.run import Run, TrainingInterrupted

    silence_lightning()

    train_files, validation_files = choose_files(data, val, training.config)
    run = Run(
        folder=output or Path("runs") / config.stem,
        max_time=max_time,
        max_epochs=max_epochs or -1,
        resume=resume,
        init=init,
        precision=precision,
        device=device,
        devices=devices,
        nodes=nodes,
    )
    data_name = f"{', '.join(folder.name for folder in data)}: {train_files.counted()}"
    try:
        rank_zero_only(typer.echo)(fit(training, train_files, validation_files, run, data_name))
    except TrainingInterrupted as error:
        typer.echo(error, err=True)
        raise typer.Exit(130) from error
