"""The commands ``restorechain stages``."""

# Without `from __future__ import annotations`: Typer reads the annotations when a command is called.
# Anything that loads torch is imported by the command that needs it, so that --help is quick.

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_Options = Annotated[list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="as in a chain: depth=17")]

stages_app = typer.Typer(no_args_is_help=True, help="List stages, describe one, import published weights.")


@stages_app.command("list")
def list_stages() -> None:
    """List every stage with its purpose and the cost of its default network."""
    from stages.tables import shipped_table, stage_table

    Console().print(stage_table(), shipped_table(), sep="\n")


@stages_app.command("show")
def show_stage(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="a stage, shipped weights, or a weights file")],
) -> None:
    """Describe a stage: its paper, its options with types and defaults, and its cost.

    For weights, the options that they were trained with stand in the place of the defaults.
    """
    from stages.tables import describe_stage

    Console().print(*describe_stage(name), sep="\n", highlight=False)


@stages_app.command("profile")
def profile_stage(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="a stage, shipped weights, or a weights file")],
    options: _Options = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="size of the image")] = "640x360",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="also plot the layers, into a PNG")] = None,
) -> None:
    """Count parameters, multiply-accumulates (MACs) and activations, layer by layer."""
    from stages.cost_report import cost_table, draw_bars, parse_size
    from stages.errors import WeightsError
    from stages.options import find_config
    from stages.profile import layer_costs

    try:
        height, width = parse_size(size)
    except ValueError as error:
        raise WeightsError(f"size: {error}") from error
    costs = layer_costs(find_config(name, options or []), height, width)
    title = f"{name} at {size}"
    Console().print(cost_table(title, costs))
    if output:
        draw_bars(output, title, costs)


@stages_app.command("import")
def import_published(
    published: Annotated[Path, typer.Argument(metavar="PUBLISHED.pth", help="a state_dict of tensors")],
    stage: Annotated[str, typer.Option(help="the stage that the network is")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="file to write")],
    options: _Options = None,
    trained_for: Annotated[str, typer.Option(help="the degradation it removes, one line for the card")] = "",
    origin: Annotated[str, typer.Option(help="who published it, under which license")] = "",
) -> None:
    """Convert a published state_dict into a weights file; no code inside it is run."""
    from stages.options import config_with
    from stages.weights import Card, load_published, save_weights

    config = config_with(stage, options or [])
    network = config.build()
    load_published(network, published)
    card = Card(
        config={"stage": stage, **config.architecture()},
        trained_for=trained_for,
        origin=origin or f"imported from {published.name}",
        code_version=version("restorechain"),
    )
    save_weights(output, network, card)
    typer.echo(output)
