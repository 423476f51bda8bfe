"""Describe a chain without running it: scale, halo, size constraint and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, StageStrength, load_chain_config
from pipeline.chain.downloads import missing
from pipeline.errors import ConfigError
from stages.catalogue.entry import read_entry
from stages.profile import count_parameters
from stages.stage import Stage


def check_chains(paths: Iterable[Path], strengths: Mapping[str, StageStrength]) -> list[str]:
    """Load chains with their weights and describe them, a line per stage and one per chain.

    Raises:
        ConfigError: with the errors of all chains.
    """
    lines: list[str] = []
    problems: list[str] = []
    for path in paths:
        try:
            config = load_chain_config(path).with_strengths(strengths)
            absent = missing(config)
            if absent:
                lines += [*_describe_absent(config, absent), f"{path}: valid; {_how_to_get(absent)}"]
                continue
            chain = Chain.build(config)
        except ConfigError as error:
            problems.append(str(error))
        else:
            lines += [*_describe(chain), f"{path}: {_demands(chain)}"]
    if problems:
        raise ConfigError("\n".join(problems))
    return lines


def _describe(chain: Chain) -> Iterable[str]:
    width = max(map(len, chain.names))
    for name, stage, config in zip(chain.names, chain.stages, chain.config.stages, strict=True):
        demands = _demands(stage)
        millions = count_parameters(stage) / 1e6
        yield f"{name:<{width}}  {demands}, strength {_text(config.strength)}, {millions:.2f} M parameters"


def _describe_absent(config: ChainConfig, absent: Mapping[str, Path]) -> Iterable[str]:
    """Yield a line for each stage of a chain that cannot be built yet; nothing is downloaded to describe it."""
    width = max(map(len, config.names))
    for name in config.names:
        text = "ready"
        if name in absent:
            entry = read_entry(absent[name])
            text = f"{absent[name].stem} is not downloaded yet: {entry.megabytes}; {entry.terms}"
        yield f"{name:<{width}}  {text}"


def _how_to_get(absent: Mapping[str, Path]) -> str:
    names = " ".join(dict.fromkeys(path.stem for path in absent.values()))
    return f"the first run downloads what is missing, or: restorechain weights download {names}"


def _text(strength: StageStrength) -> str:
    return strength if strength == "auto" else f"{strength:g}"


def _demands(described: Stage | Chain) -> str:
    reach = "the whole image" if described.halo is None else f"{described.halo} px"
    around = f", {described.radius} frames of a video on each side" if described.radius else ""
    return f"scale {described.scale}, halo {reach}{around}, sizes in multiples of {described.multiple_of}"
