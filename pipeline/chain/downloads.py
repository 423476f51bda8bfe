"""Weights of a chain that the catalogue names: which are missing here, their download, and who made them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pipeline.chain.config import ChainConfig, load_chain_config
from stages.catalogue.cache import is_here, obtain
from stages.catalogue.entry import is_entry, read_entry
from stages.weights import read_card


def download_missing(config: ChainConfig, *, offline: bool, accepted: Collection[str]) -> None:
    """Make sure that all weights that the catalogue names are here and right, before any work.

    Args:
        config: The chain.
        offline: Download nothing.
        accepted: Names of entries whose licence, which restricts what may be done with them, the user accepts.

    Raises:
        WeightsError: if weights are missing and cannot or must not be downloaded.
    """
    for entry in published(config).values():
        obtain(entry, accepted=accepted, allow_download=False if offline else None)


def complete_chains(folder: Path) -> list[Path]:
    """Return the chains of a folder, by name, whose weights are all on this machine.

    Raises:
        ConfigError: for an error in a chain's YAML.
    """
    return [path for path in sorted(folder.glob("*.yaml")) if not missing(load_chain_config(path))]


def missing(config: ChainConfig) -> dict[str, Path]:
    """Return the catalogue entries whose weights are not on this machine, by stage name."""
    return {name: entry for name, entry in published(config).items() if not is_here(entry, read_entry(entry))}


def published(config: ChainConfig) -> dict[str, Path]:
    """Return the catalogue entries that a chain names, by stage name."""
    files = {name: stage.files() for name, stage in zip(config.names, config.stages, strict=True)}
    return {name: of["weights"] for name, of in files.items() if "weights" in of and is_entry(of["weights"])}


def origins(config: ChainConfig) -> dict[str, str]:
    """Return who made the published weights that a chain names, and under which licence, by stage name."""
    return {name: read_card(entry).origin for name, entry in published(config).items()}
