"""Small chains for tests."""

from __future__ import annotations

from torch import nn

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from stages.stage import StageConfig


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
