"""How a network that takes the noise level is given it while training, and what its estimate costs."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from stages.stage import Section


class NoiseLevelTraining(Section):
    """The YAML: what trains the estimator of the noise level beside the network that takes it."""

    weight: float = Field(0.1, ge=0, description="factor of the estimator's loss; 0: it stays as it is")
    too_low: float = Field(0.7, ge=0.5, lt=1, description="share of the loss for estimates that are too low")
    true_share: float = Field(0.5, ge=0, le=1, description="share of a batch that gets the true level")

    def loss(self, estimated: Tensor, true: Tensor) -> Tensor:
        """Return the weighted squared error of the levels' logarithms, ``(B, 1, 1, 1)`` each.

        Asymmetric as in Guo et al., "Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019: noise that
        is left is seen, while a level that is somewhat too high costs little.
        """
        error = (estimated + _CLEAN).log() - (true + _CLEAN).log()
        share = (error < 0).to(error) * (2 * self.too_low - 1) + (1 - self.too_low)
        return self.weight * (share * error.square()).mean()

    def given(self, estimated: Tensor, true: Tensor) -> Tensor:
        """Return the levels for the network: the first of a batch get the true one."""
        level = estimated.detach().clone()
        known = round(self.true_share * len(level))
        level[:known] = true[:known].to(level)
        return level


# Half a gray level, below which all images are equally clean.
_CLEAN = 0.5 / 255


def noise_level_of(degraded: Tensor, clean: Tensor) -> Tensor:
    """Return the root mean square of what a degradation added to each image, ``(B, 1, 1, 1)``, 1 being white."""
    return (degraded - clean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
