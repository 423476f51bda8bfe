"""The command `grow`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def grow(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="Weights file of the narrow network, or a shipped name.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="Weights file of the wider network.")
    ],
    width: Annotated[int, typer.Option(min=1, help="Channels of the wider network's hidden layers.")],
) -> None:
    """Make a wider network of a narrow one that gives the same results, to train further."""
    import torch

    from stages.weights import resolve
    from train.grow import widen_weights

    torch.manual_seed(0)
    widen_weights(resolve(weights, Path()), output, width)
    typer.echo(f"{output}: train it by `--init {output} --set stage.width={width}`")
