"""Count a chain's parameters, operations and memory for one image, by stage and layer; as tables and a bar chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from pipeline.chain.config import ChainConfig, StageStrength, load_chain_config
from pipeline.errors import ConfigError
from stages.cost_report import cost_table, draw_bars, parse_size
from stages.profile import Cost, build_on_meta, stage_costs, total


def profile_chains(
    paths: Iterable[Path], strengths: Mapping[str, StageStrength], size: str, output: Path | None
) -> Iterator[Table]:
    """Yield the tables of each chain for images of a size, such as ``640x360``.

    With ``output``, a folder, also draw the layers as bars into ``output/CHAIN.profile.png``.

    Raises:
        ConfigError: for an error in a chain's YAML, or for a malformed size.
    """
    try:
        height, width = parse_size(size)
    except ValueError as error:
        raise ConfigError(f"size: {error}") from error
    for path in paths:
        costs = chain_costs(load_chain_config(path).with_strengths(strengths), height, width)
        yield from describe_costs(f"{path.name} at {size}", costs)
        if output is not None:
            draw_costs(output / f"{path.stem}.profile.png", f"{path.name} at {size}", costs)


def chain_costs(config: ChainConfig, height: int, width: int) -> dict[str, list[Cost]]:
    """Count every stage's layers for one image, by stage name; a stage at strength 0 costs nothing.

    Args:
        config: The chain.
        height: Of the chain's input; stages after an upscaling one get a larger image.
        width: Likewise.
    """
    costs, scale = {}, 1
    for name, stage in zip(config.names, config.stages, strict=True):
        module = build_on_meta(stage)
        costs[name] = stage_costs(module, height * scale, width * scale) if stage.strength else []
        scale *= module.scale
    return costs


def describe_costs(title: str, costs: dict[str, list[Cost]]) -> Iterator[Table]:
    """Lay out a chain's costs: a table of its stages, then one of each stage's layers."""
    stages = [total(layers, name, f"{len(layers)} layers") for name, layers in costs.items()]
    yield cost_table(title, stages, of="stage")
    yield from (cost_table(name, layers) for name, layers in costs.items() if layers)


def draw_costs(path: Path, title: str, costs: dict[str, list[Cost]]) -> None:
    """Draw the layers of all stages as bars into a PNG; their lengths compare across stages."""
    layers = [
        replace(layer, name=f"{name}.{layer.name}".rstrip(".")) for name, layers in costs.items() for layer in layers
    ]
    draw_bars(path, title, layers)
