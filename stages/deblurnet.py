"""DeblurNet: the plain network of a student project that over-fits one image, after Dong, Loy, He, Tang, "Image
Super-Resolution Using Deep Convolutional Networks" (SRCNN), TPAMI 2016. https://arxiv.org/abs/1501.00092

    image -> 6 x [conv, tanh] -> conv -> + logit(image) -> sigmoid        3-64-128-256-256-128-64-3 channels

Its description names the convolutions (3x3, with biases and no batch norm: exactly 1,331,459 parameters), tanh, a
residual and a sigmoid, but not how they fit together. Here tanh stands between the convolutions and the residual is
added to the image's logit: only there can a sigmoid follow and still leave the image as it is, so that training
starts from the identity and every result lies between black and white.
"""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.layers import conv3x3, zero_init
from stages.stage import LearnedStageConfig, Stage

# Black and white have no logit; they start half a gray level away from themselves.
_DARKEST = 1 / 512


class DeblurNet(Stage):
    """Seven convolutions that predict what to add to the image's logit.

    Args:
        width: Channels of the first hidden layer; the others have 2, 4, 4, 2 and 1 times as many.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 4 * width, 2 * width, width]
        self.halo = len(widths)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [conv3x3(before, after), nn.Tanh()]
        self.model = nn.Sequential(*layers, zero_init(conv3x3(width, 3)))

    def forward(self, image: Tensor) -> Tensor:
        """Return the deblurred image, same shape, in ``(0, 1)``."""
        return torch.sigmoid(torch.logit(image.float(), _DARKEST) + self.model(image))


class DeblurNetConfig(LearnedStageConfig):
    """Options of ``stage: deblurnet``."""

    summary: ClassVar[str] = "deblur: seven plain convolutions"
    stage: Literal["deblurnet"] = "deblurnet"
    normalize: Literal["none"] = Field("none", description="none only: its sigmoid gives results in (0, 1)")
    width: int = Field(64, ge=1, description="channels of the first and last hidden layers; a quarter of the widest")

    def build_network(self) -> DeblurNet:
        """Build the network."""
        return DeblurNet(**self.arguments())
