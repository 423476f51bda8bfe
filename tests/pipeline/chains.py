"""Small chains for tests."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from stages.stage import Stage, StageConfig


def chain_of(*configs: StageConfig, gain: float = 0.7) -> Chain:
    """Build a chain with random weights in every layer; zero-initialised ones would hide errors.

    Args:
        configs: The stages.
        gain: Of every convolution; 1 keeps the variance.
    """
    chain = Chain.build(ChainConfig(stages=configs))
    for stage in chain.stages:
        for module in stage.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=1)
                module.weight.data *= gain
        for parameter in stage.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
    return chain


class AloneConfig(StageConfig):
    stage: Literal["alone"] = "alone"

    def build(self) -> Stage:
        pytest.fail("the chain is given its stage")


def alone(stage: Stage) -> Chain:
    """Return a chain of one stage, named ``alone``."""
    return Chain(ChainConfig.model_construct(stages=(AloneConfig(),)), [stage])


class InPlaceStage(Stage):
    """Begins with what engines like to compute in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(F.leaky_relu(image - 0.5, 0.1))


class MeanOfFramesConfig(StageConfig):
    stage: Literal["mean_of_frames"] = "mean_of_frames"
    radius: int = 1

    def build(self) -> Stage:
        return MeanOfFrames(radius=self.radius)


class MeanOfFrames(Stage):
    """Weights the frames of its window by 1, 2, ..., so that the result shows which frames came, in which order."""

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, image: Tensor) -> Tensor:
        weights = torch.arange(1.0, 2 * self.radius + 2, device=image.device)
        return (image * (weights / weights.sum()).view(-1, 1, 1, 1)).sum(dim=1)


def video_chain(*configs: StageConfig) -> Chain:
    """Build a chain that may hold ``mean_of_frames``, which is in no table of stages."""
    return Chain(ChainConfig.model_construct(stages=configs), [config.build().eval() for config in configs])
