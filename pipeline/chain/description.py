"""Describe a chain without running it: scale, halo, size constraint and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.chain.chain import Chain
from pipeline.chain.config import load_chain_config
from pipeline.errors import ConfigError
from stages.profile import count_parameters


def check_chains(paths: Iterable[Path], strengths: Mapping[str, float]) -> list[str]:
    """Load chains with their weights and describe them, a line per stage and one per chain.

    Raises:
        ConfigError: with the errors of all chains.
    """
    lines: list[str] = []
    problems: list[str] = []
    for path in paths:
        try:
            chain = Chain.build(load_chain_config(path).with_strengths(strengths))
        except ConfigError as error:
            problems.append(str(error))
        else:
            lines += [*_describe(chain), f"{path}: {_demands(chain.scale, chain.halo, chain.multiple_of)}"]
    if problems:
        raise ConfigError("\n".join(problems))
    return lines


def _describe(chain: Chain) -> Iterable[str]:
    width = max(map(len, chain.names))
    for name, stage, strength in zip(chain.names, chain.stages, chain.strengths, strict=True):
        demands = _demands(stage.scale, stage.halo, stage.multiple_of)
        yield f"{name:<{width}}  {demands}, strength {strength:g}, {count_parameters(stage) / 1e6:.2f} M parameters"


def _demands(scale: int, halo: int | None, multiple_of: int) -> str:
    reach = "the whole image" if halo is None else f"{halo} px"
    return f"scale {scale}, halo {reach}, sizes in multiples of {multiple_of}"
