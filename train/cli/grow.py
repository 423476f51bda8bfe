"""The command `grow`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def grow(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="Weights file of the smaller network, or a shipped name.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="Weights file of the larger network.")
    ],
    width: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Channels of the larger network's hidden layers.")
    ] = None,
    estimator: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Let a DnCNN take the noise level as an input, estimated by a network of N channels.",
        ),
    ] = None,
    coarse: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS", help="Join a U-Net with this one for long blur, of the same kind at half its size."
        ),
    ] = None,
) -> None:
    """Make a larger network of a smaller one that gives the same results, to train further.

    It gets more channels (--width), the noise level as an input (--estimator), or both. Two U-Nets that are joined
    (--coarse) begin as the mean of both.
    """
    import torch

    from pipeline.errors import ConfigError
    from stages.weights import resolve
    from train.grow import grow_weights, join_weights

    if coarse and (width or estimator):
        raise ConfigError("coarse: joins networks as they are; grow the joined one in a second step")
    torch.manual_seed(0)
    smaller = resolve(weights, Path())
    if coarse:
        changes = join_weights(smaller, resolve(coarse, Path()), output)
    else:
        changes = grow_weights(smaller, output, width=width, estimator=estimator)
    options = " ".join(f"stage.{name}={json.dumps(value)}" for name, value in changes.items())
    typer.echo(f"{output}: train it by `--init {output} --set {options}`")
