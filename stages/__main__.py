"""Look at stages and weights files, and convert published ones.

python -m stages                                     all stages and the shipped weights
python -m stages FILE                                a weights file's card
python -m stages profile STAGE|WEIGHTS [OPTION=VALUE ...] [--size 640x360] [-o BARS.png]
python -m stages import PUBLISHED.pth --stage dncnn [OPTION=VALUE ...] -o FILE
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Column, Table

from stages.cost_report import cost_table, draw_bars, parse_size
from stages.errors import WeightsError
from stages.profile import count_macs, count_parameters, layer_costs
from stages.registry import STAGES, config_from
from stages.stage import StageConfig
from stages.weights import Card, load_state, read_card, read_published, resolve, save_weights, shipped_weights

_FRAME = (360, 640)


def main(arguments: list[str]) -> int:
    """Run the command line; return its exit code."""
    try:
        if not arguments:
            print_stages(Console())
            print_shipped(Console())
        elif arguments[0] == "import":
            import_published(arguments[1:])
        elif arguments[0] == "profile":
            profile(arguments[1:])
        elif len(arguments) == 1 and not arguments[0].startswith("-"):
            print_card(Path(arguments[0]))
        else:
            print(__doc__)
            return 0 if arguments[0] in ("-h", "--help") else 2
    except (WeightsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def print_stages(console: Console) -> None:
    """Print every stage, with what it costs by default."""
    first = Column("stage", no_wrap=True)
    table = Table(first, "parameters", "GMACs at 640x360", "halo", "multiple of", "scale", title="Stages, by default")
    for tag, config_type in STAGES.items():
        required = [name for name, field in config_type.model_fields.items() if field.is_required()]
        try:
            table.add_row(tag, *([f"by {', '.join(required)}"] if required else _measure(config_type(stage=tag))))
        except WeightsError as error:  # a package that is not installed
            table.add_row(tag, str(error))
    console.print(table)


def print_shipped(console: Console) -> None:
    """Print the shipped weights, if there are any, with their figures."""
    table = Table(
        "weights", "stage", "parameters", "GMACs", "halo", "scale", "trained for", "figures", title="Shipped weights"
    )
    for name, path in shipped_weights().items():
        card = read_card(path)
        parameters, gmacs, halo, _, scale = _measure(config_from(card))
        figures = "\n".join(f"{protocol}: {value:.2f}" for protocol, value in card.metrics.items())
        table.add_row(name, card.config["stage"], parameters, gmacs, halo, scale, card.trained_for, figures)
    if table.row_count:
        console.print(table)


def _measure(config: StageConfig) -> tuple[str, str, str, str, str]:
    with torch.device("meta"):  # large networks take seconds to fill with random numbers
        stage = config.build().eval().fuse()
    halo = "whole image" if stage.halo is None else str(stage.halo)
    return (
        f"{count_parameters(stage):,}",
        f"{count_macs(config, *_FRAME) / 1e9:.1f}",
        halo,
        str(stage.multiple_of),
        f"x{stage.scale}",
    )


def print_card(path: Path) -> None:
    """Print what a weights file says of itself, as YAML."""
    card = read_card(path)
    print(yaml.safe_dump(card.model_dump(), sort_keys=False, allow_unicode=True, width=110), end="")


def profile(arguments: list[str]) -> None:
    """Count what a stage costs, layer by layer: parameters, multiply-accumulates (MACs), activations."""
    parser = argparse.ArgumentParser(prog="python -m stages profile", description=profile.__doc__)
    parser.add_argument("stage", metavar="STAGE|WEIGHTS", help="a stage, shipped weights, or a weights file")
    parser.add_argument("options", nargs="*", metavar="OPTION=VALUE", help="of a STAGE, as in a chain: depth=17")
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT", help="of the image (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="BARS.png", help="draw the layers as bars, too")
    given = parser.parse_intermixed_args(arguments)
    try:
        height, width = parse_size(given.size)
    except ValueError as error:
        raise WeightsError(f"--size: {error}") from error
    costs = layer_costs(_find_config(given.stage, given.options), height, width)
    title = f"{given.stage} at {given.size}"
    Console().print(cost_table(title, costs))
    if given.output:
        draw_bars(given.output, title, costs)


def _find_config(name: str, options: list[str]) -> StageConfig:
    """Return the config of a stage with options, or of the stage that a weights file is for."""
    if name in STAGES:
        return _config_with(name, options)
    try:
        path = resolve(name, Path())
    except WeightsError as error:
        raise WeightsError(f"{error}\nnor is it a stage: {', '.join(STAGES)}") from error
    if options:
        raise WeightsError(f"{name}: got {' '.join(options)}, but a weights file says itself what it was trained with")
    return config_from(read_card(path))


def import_published(arguments: list[str]) -> None:
    """Convert a published state_dict into a weights file, without running any code in it."""
    parser = argparse.ArgumentParser(prog="python -m stages import", description=import_published.__doc__)
    parser.add_argument("published", type=Path, metavar="PUBLISHED.pth")
    parser.add_argument("--stage", required=True, choices=sorted(STAGES))
    parser.add_argument("options", nargs="*", metavar="OPTION=VALUE", help="architecture, as in a chain: depth=17")
    parser.add_argument("--trained-for", default="", help="one line for the card")
    parser.add_argument("--origin", default="", help="who published it, under which licence")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")
    given = parser.parse_intermixed_args(arguments)
    config = _config_with(given.stage, given.options)
    stage = config.build()
    load_state(stage, read_published(given.published), str(given.published))
    card = Card(
        config={"stage": given.stage, **config.architecture()},
        trained_for=given.trained_for,
        origin=given.origin or f"imported from {given.published.name}",
        code_version=version("restorechain"),
    )
    save_weights(given.output, stage, card)
    print(given.output)


def _config_with(tag: str, options: list[str]) -> StageConfig:
    return config_from(Card(config={"stage": tag, **dict(map(_parse_option, options))}))


def _parse_option(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise WeightsError(f"got {text!r}, expected OPTION=VALUE such as depth=17")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise WeightsError(f"got {text!r}, expected OPTION=VALUE with a value in YAML's spelling") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
