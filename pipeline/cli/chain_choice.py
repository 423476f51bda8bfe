"""Choose the chains of a run: the named one for everything, or else the defaults for images and for videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from pipeline.cli.options import DEFAULT_CHAIN

if TYPE_CHECKING:
    from pipeline.chain.config import ChainConfig, StageStrength

DEFAULT_VIDEO_CHAIN = DEFAULT_CHAIN.with_name("restore_x2_video.yaml")
AnyChainFile = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--chain",
        metavar="YAML",
        help="The stages, in order, for images and videos alike.",
        show_default="configs/restore_x2.yaml for images, configs/restore_x2_video.yaml for videos",
    ),
]


class ChosenChains(NamedTuple):
    """The chains of a run.

    Attributes:
        config: Of images; of videos, too, where there is no other for them.
        videos: Of videos, where they have another one.
    """

    config: ChainConfig
    videos: ChainConfig | None = None


def named_chain(path: Path, strengths: Mapping[str, StageStrength], noise_levels: Mapping[str, float]) -> ChosenChains:
    """Return a chain for everything, with the given strengths and noise levels.

    Raises:
        ConfigError: for an error in its YAML, or for a strength or noise level that does not fit it.
    """
    return ChosenChains(*_configured([path], strengths, noise_levels))


def default_chains(
    strengths: Mapping[str, StageStrength], noise_levels: Mapping[str, float], *, images: bool, videos: bool
) -> ChosenChains:
    """Return the default chains for the kinds of inputs that there are.

    Strengths and noise levels hold for every chain that has a stage of that name.

    Raises:
        ConfigError: for a strength or noise level that fits none of them.
    """
    paths = [DEFAULT_CHAIN] * (images or not videos) + [DEFAULT_VIDEO_CHAIN] * videos
    return ChosenChains(*_configured(paths, strengths, noise_levels))


def _configured(
    paths: Sequence[Path], strengths: Mapping[str, StageStrength], noise_levels: Mapping[str, float]
) -> list[ChainConfig]:
    from pipeline.chain.config import load_chain_config

    configs = [load_chain_config(path) for path in paths]
    names = {name for config in configs for name in config.names}
    configured = []
    for config in configs:
        others = names - set(config.names)
        config = config.with_strengths({name: one for name, one in strengths.items() if name not in others})
        configured.append(
            config.with_noise_levels({name: one for name, one in noise_levels.items() if name not in others})
        )
    return configured
