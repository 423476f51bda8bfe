"""A chain of stages; its scale, size constraint and halo are computed from theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from stages.weights import load_weights


class Chain:
    """Stages that run one after another on the same image.

    Args:
        config: What the chain was built from.
        stages: The modules, one for each of ``config.stages``, in eval mode.

    Attributes:
        names: Each stage's tag, numbered from the second of a kind (``dncnn``, ``dncnn_2``).
        strengths: Each stage's blend of output (1) and input (0); 1 where it is still to be chosen.
        automatic: Whether strengths are still to be chosen for each image, by ``for_condition``.
        footprints: Scale, size constraint and halo of each stage at its strength.
        scales: How much larger than the image each stage's output is, by the stage's name.
        scale: Output pixels per input pixel and axis.
        multiple_of: What the image's height and width are padded to.
        halo: Radius, in pixels of the image, of everything that one output pixel depends on; None where it is
            the whole image.
    """

    def __init__(self, config: ChainConfig, stages: Sequence[Stage]) -> None:
        self.config = config
        self.names = config.names
        self.stages = tuple(stages)
        self.strengths = tuple(1.0 if stage.strength == "auto" else stage.strength for stage in config.stages)
        self.automatic = any(stage.strength == "auto" for stage in config.stages)
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
        return Chain(self.config, stages)

    def with_strengths(self, strengths: Mapping[str, StageStrength]) -> Chain:
        """Return a chain of the same modules with the strengths of the named stages replaced.

        Raises:
            ConfigError: for a name that no stage has, or a strength that is neither 0 to 1 nor ``auto``.
        """
        return Chain(self.config.with_strengths(strengths), self.stages)

    def for_condition(self, condition: Condition) -> Chain:
        """Return a chain of the same modules with every ``strength: auto`` chosen for an image of this condition."""
        tables = {
            name: table_of(stage)
            for name, stage in zip(self.names, self.config.stages, strict=True)
            if stage.strength == "auto"
        }
        return self.with_strengths({name: table.strength(condition) for name, table in tables.items() if table})

    @property
    def given_noise_levels(self) -> dict[str, float]:
        """Noise levels that the configuration gives, by the stage's name."""
        return {
            name: stage.noise_level
            for name, stage in zip(self.names, self.config.stages, strict=True)
            if isinstance(stage, DnCNNConfig) and stage.noise_level != "auto"
        }

    def run_stage(self, index: int, image: Tensor, measured: Tensor | None = None) -> Tensor:
        """Run one stage at its strength on ``(B, 3, H, W)`` in ``[0, 1]``; fp32, not clamped.

        ``measured`` is what it has to know of the whole images; without it, it measures these.
        """
        stage, strength = self.stages[index], self.strengths[index]
        if strength == 0:
            return bicubic_upscale(image, stage.scale)
        result = stage(image if measured is None else with_planes(image, measured)).float()
        if strength == 1:
            return result
        return torch.lerp(bicubic_upscale(image, stage.scale), result, strength)


def _build(config: StageConfig) -> Stage:
    try:
        stage = config.build()
        if isinstance(config, LearnedStageConfig) and config.weights is not None:
            load_weights(stage, Path(config.weights))
    except WeightsError as error:
        raise ConfigError(f"stage {config.stage}: {error}") from error
    return stage


def _footprint(stage: Stage, strength: float) -> Footprint:
    """Return the footprint of a stage blended with its (bicubically upscaled) input."""
    bicubic_halo = BICUBIC_HALO if stage.scale > 1 else 0
    if strength == 0:
        return Footprint(stage.scale, 1, bicubic_halo)
    if strength == 1 or stage.halo is None:
        return Footprint(stage.scale, stage.multiple_of, stage.halo)
    return Footprint(stage.scale, stage.multiple_of, max(stage.halo, bicubic_halo))
