"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError
from train.cli.process import prepare


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the test sets CBSD68, Set5, Set14, pairs/NAME with blur/ and sharp/, real_noise/polyu_512, "
            "screens.",
        ),
    ],
    only: Annotated[
        list[str] | None, typer.Option(metavar="PROTOCOL...", help="Some protocols; an unknown name lists them.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="Other weights, or another chain, than the shipped ones.")
    ] = None,
    ship: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Store --weights in half precision as the shipped weights of this name, if their mean PSNR is higher.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.md", help="Write the table there.")
    ] = None,
) -> None:
    """Evaluate weights and chains by the field's standard protocols."""
    prepare()

    from train.evaluation.evaluate import as_markdown, evaluate_all, print_results
    from train.evaluation.ship import ship_if_better

    if ship:
        if not weights or only or output:
            raise ConfigError("ship: takes weights, expected --weights FILE and neither --only nor --output")
        if not ship_if_better(Path(weights), ship, data):
            typer.echo(f"not shipped: {ship} is better as it is")
            raise typer.Exit(1)
        typer.echo(f"shipped as {ship}")
        return
    results = evaluate_all(data, only or (), weights)
    print_results(results)
    if output:
        output.write_text(as_markdown(results, only or ()), encoding="utf-8")
