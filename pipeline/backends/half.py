"""Half-precision copies of weights, made once instead of by autocast for every image."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from pipeline.backends.wrapper import StageWrapper
from stages.foreign import Spandrel
from stages.stage import Stage

# What autocast computes in half precision, whatever the weights are in.
_HALVED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class HalfWeights(StageWrapper):
    """A stage with a second copy of its weights, so that autocast need not cast them; the result is the same.

    Args:
        original: The stage, which runs where autocast is off.
        dtype: What autocast computes in.
    """

    def __init__(self, original: Stage, dtype: torch.dtype) -> None:
        super().__init__(original)
        self.half_stage = deepcopy(original)
        for module in self.half_stage.modules():
            if isinstance(module, _HALVED):
                module.to(dtype)

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, as ``original`` would."""
        halved = torch.is_autocast_enabled(image.device.type)
        return self.half_stage(image) if halved else self.original(image)


def with_half_weights(stage: Stage, dtype: torch.dtype) -> Stage:
    """Return the stage with a half-precision copy of its weights.

    Returned unchanged: foreign networks, which choose their precision themselves, and stages without anything to
    halve.
    """
    can_be_halved = any(isinstance(module, _HALVED) for module in stage.modules())
    return HalfWeights(stage, dtype) if can_be_halved and not isinstance(stage, Spandrel) else stage
