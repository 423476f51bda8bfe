"""A chain of stages; its scale, size constraint and halo are computed from theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from pipeline.chain.config import ChainConfig, StageStrength, load_chain_config
from pipeline.condition.condition import Condition
from pipeline.condition.strengths import table_of
from pipeline.errors import ConfigError
from pipeline.tiling import Footprint, scales_after, total_halo, total_multiple_of, total_scale
from stages.dncnn import DnCNNConfig
from stages.errors import WeightsError
from stages.layers import BICUBIC_HALO, bicubic_upscale, with_planes
from stages.stage import LearnedStageConfig, Stage, StageConfig
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.weights import build_trained


class Chain:
    """Stages that run one after another on the same image, or frame.

    Stages that use neighbouring frames pass images unchanged, as if at strength 0. A video is run by the ``parts``, in
    which these stages are given their neighbours.

    Args:
        config: What the chain was built from.
        stages: The modules, one for each of ``config.stages`` from ``first`` on, in eval mode.
        first: Index of the first stage in ``config``; not 0 in a part of a chain only.
        in_video: Whether a stage that uses neighbouring frames is given them.

    Attributes:
        names: Each stage's tag, numbered from the second of a kind (``dncnn``, ``dncnn_2``).
        configs: What each stage was built from.
        strengths: Each stage's blend of output (1) and input (0); 1 where it is still to be chosen.
        automatic: Whether strengths are still to be chosen for each image, by ``for_condition``.
        radius: Frames of a video on each side of one, on which it depends when restored.
        footprints: Scale, size constraint and halo of each stage at its strength.
        scales: How much larger than the image each stage's output is, by the stage's name.
        scale: Output pixels per input pixel and axis.
        multiple_of: What the image's height and width are padded to.
        halo: Radius, in pixels of the image, of everything that one output pixel depends on; None where it is
            the whole image.
    """

    def __init__(self, config: ChainConfig, stages: Sequence[Stage], *, first: int = 0, in_video: bool = False) -> None:
        self.config = config
        self.stages = tuple(stages)
        self.first = first
        self.in_video = in_video
        self.names = config.names[first : first + len(stages)]
        self.configs = config.stages[first : first + len(stages)]
        self.strengths = tuple(map(self._strength, self.stages, self.configs))
        pairs = list(zip(self.configs, self.strengths, strict=True))
        self.automatic = any(given.strength == "auto" for given, strength in pairs if strength)
        self.radius = sum(map(_radius, self.stages, self.configs))
        self.footprints = tuple(map(_footprint, self.stages, self.strengths))
        self.scales = dict(zip(self.names, scales_after(self.footprints), strict=True))
        self.scale = total_scale(self.footprints)
        self.multiple_of = total_multiple_of(self.footprints)
        self.halo = total_halo(self.footprints)

    @classmethod
    def load(cls, path: str | Path) -> Chain:
        """Read a chain's YAML and all of its weights.

        Raises:
            ConfigError: with one line per error in the file; or for weights that do not fit.
        """
        return cls.build(load_chain_config(Path(path)))

    @classmethod
    def build(cls, config: ChainConfig) -> Chain:
        """Build the stages, load their weights and fold their batch norms; random weights where a stage names none.

        Raises:
            ConfigError: for weights that do not fit their stage.
        """
        return cls(config, [_build(stage).eval().fuse() for stage in config.stages])

    def with_stages(self, stages: Sequence[Stage]) -> Chain:
        """Return a chain of the same configuration with other modules."""
        return Chain(self.config, stages, first=self.first, in_video=self.in_video)

    def with_strengths(self, strengths: Mapping[str, StageStrength]) -> Chain:
        """Return a chain of the same modules with the strengths of the named stages replaced.

        Raises:
            ConfigError: for a name that no stage has, or a strength that is neither 0 to 1 nor ``auto``.
        """
        config = self.config.with_strengths(strengths)
        return Chain(config, self.stages, first=self.first, in_video=self.in_video)

    def parts(self) -> list[Chain]:
        """Cut the chain before and behind each stage that uses neighbouring frames: one after another, for a video."""
        radii = map(_radius, self.stages, self.configs)
        numbered = [(index if radius else -1, index) for index, radius in enumerate(radii)]
        runs = [[index for _, index in alike] for _, alike in groupby(numbered, key=lambda pair: pair[0])]
        return [
            Chain(self.config, self.stages[run[0] : run[-1] + 1], first=self.first + run[0], in_video=True)
            for run in runs
        ]

    def for_condition(self, condition: Condition) -> Chain:
        """Return a chain of the same modules with every ``strength: auto`` chosen for an image of this condition."""
        tables = {
            name: table_of(stage)
            for name, stage in zip(self.names, self.configs, strict=True)
            if stage.strength == "auto"
        }
        return self.with_strengths({name: table.strength(condition) for name, table in tables.items() if table})

    @property
    def given_noise_levels(self) -> dict[str, float]:
        """Noise levels that the configuration gives to stages that run, by their names."""
        return {
            name: stage.noise_level
            for name, stage, strength in zip(self.names, self.configs, self.strengths, strict=True)
            if isinstance(stage, DnCNNConfig | TemporalDenoiseConfig) and stage.noise_level != "auto" and strength
        }

    def run_stage(self, index: int, image: Tensor, measured: Tensor | None = None) -> Tensor:
        """Run one stage at its strength on ``(B, 3, H, W)`` in ``[0, 1]``; fp32, not clamped.

        Args:
            index: Of the stage.
            image: ``(B, 2 * radius + 1, 3, H, W)`` for a stage that uses neighbouring frames, in a part for a video.
            measured: What the stage has to know of the whole images; without it, it measures these.
        """
        stage, strength = self.stages[index], self.strengths[index]
        unchanged = image[:, image.shape[1] // 2] if image.ndim == 5 else image
        if strength == 0:
            return bicubic_upscale(unchanged, stage.scale)
        result = stage(image if measured is None else with_planes(image, measured)).float()
        if strength == 1:
            return result
        return torch.lerp(bicubic_upscale(unchanged, stage.scale), result, strength)

    def _strength(self, stage: Stage, config: StageConfig) -> float:
        if stage.radius and not self.in_video:
            return 0.0
        return 1.0 if config.strength == "auto" else config.strength


def _build(config: StageConfig) -> Stage:
    try:
        if isinstance(config, LearnedStageConfig) and config.weights is not None:
            return build_trained(config, Path(config.weights))
        return config.build()
    except WeightsError as error:
        raise ConfigError(f"stage {config.stage}: {error}") from error


def _radius(stage: Stage, config: StageConfig) -> int:
    """Return how many frames on each side a stage uses at its strength."""
    return stage.radius if config.strength else 0


def _footprint(stage: Stage, strength: float) -> Footprint:
    """Return the footprint of a stage blended with its (bicubically upscaled) input."""
    bicubic_halo = BICUBIC_HALO if stage.scale > 1 else 0
    if strength == 0:
        return Footprint(stage.scale, 1, bicubic_halo)
    if strength == 1 or stage.halo is None:
        return Footprint(stage.scale, stage.multiple_of, stage.halo)
    return Footprint(stage.scale, stage.multiple_of, max(stage.halo, bicubic_halo))
