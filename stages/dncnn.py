"""DnCNN: Zhang, Zuo, Chen, Meng, Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image
Denoising", IEEE TIP 2017. https://arxiv.org/abs/1608.03981

    image -> [conv, ReLU] -> (depth - 2) x [conv, batch norm, ReLU] -> [conv] -> noise;  image - noise

``unshuffle: 2`` works on the 2x2 polyphase planes instead (as FFDNet does, https://arxiv.org/abs/1710.04026): a
quarter of the pixels, a receptive field twice as wide. ``skips: true`` turns the inner convolutions into residual
blocks without batch norm, as DRUNet does (https://arxiv.org/abs/2008.13751): trained for minutes instead of days,
they are far ahead.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.layers import ResidualBlock, conv3x3, finer_halo, zero_init
from stages.stage import LearnedStageConfig, Stage


class DnCNN(Stage):
    """Denoiser that predicts the noise and subtracts it.

    Module names and order equal KAIR's published ones (``model.0``, ``model.2``, ...), so their state_dicts load
    as they are.

    Args:
        channels: 3 for colour; 1 for a gray network, which then treats R, G and B as three gray images.
        depth: Convolutions, 20 in the paper's blind colour model, 17 in its non-blind ones.
        width: Channels of every hidden layer.
        unshuffle: Pixel-unshuffle factor at the input; 1 is the paper's network.
        skips: Pairs of inner convolutions add their input; ``depth`` must be even, ``batch_norm`` False.
        batch_norm: Batch norm behind every inner convolution, as trained; False for folded weights.
    """

    def __init__(self, *, channels: int, depth: int, width: int, unshuffle: int, skips: bool, batch_norm: bool) -> None:
        super().__init__()
        self.channels = channels
        self.unshuffle = unshuffle
        self.multiple_of = unshuffle
        self.halo = finer_halo(depth, unshuffle)
        planes = channels * unshuffle**2
        inner = _residual_layers(depth, width) if skips else _plain_layers(depth, width, batch_norm)
        tail = conv3x3(width, planes)
        self.model = nn.Sequential(
            conv3x3(planes, width), nn.ReLU(inplace=True), *inner, zero_init(tail) if skips else tail
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return ``image`` less the noise found in it, same shape."""
        planes = image.reshape(-1, self.channels, *image.shape[-2:])
        noise = F.pixel_shuffle(self.model(F.pixel_unshuffle(planes, self.unshuffle)), self.unshuffle)
        return (planes - noise).reshape(image.shape)

    def fuse(self) -> Stage:
        """Fold every batch norm into the convolution before it."""
        layers = list(self.model)
        for index, layer in enumerate(layers):
            convolution = layers[index - 1]
            if isinstance(layer, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                layers[index - 1] = fuse_conv_bn_eval(convolution, layer)
        self.model = nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.BatchNorm2d)))
        return self


def _plain_layers(depth: int, width: int, batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(depth - 2):
        layers.append(conv3x3(width, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return layers


def _residual_layers(depth: int, width: int) -> list[nn.Module]:
    return [ResidualBlock(width) for _ in range((depth - 2) // 2)]


class DnCNNConfig(LearnedStageConfig):
    """Options of ``stage: dncnn``."""

    summary: ClassVar[str] = "denoise: predicts the noise"
    stage: Literal["dncnn"] = "dncnn"
    channels: Literal[1, 3] = Field(3, description="3: colour; 1: a gray network, run on each channel")
    depth: int = Field(20, ge=3, description="convolutions")
    width: int = Field(64, ge=1, description="channels of the hidden layers")
    unshuffle: Literal[1, 2, 4] = Field(1, description="work at 1/n of the size, on n x n planes")
    skips: bool = Field(False, description="residual blocks inside; depth must be even, batch_norm false")
    batch_norm: bool = Field(True, description="batch norm while training; folded when run")

    @model_validator(mode="after")
    def _skips_fit(self) -> DnCNNConfig:
        if self.skips and (self.batch_norm or self.depth % 2):
            raise ValueError(
                f"skips: true goes with batch_norm: false and an even depth, got batch_norm: "
                f"{str(self.batch_norm).lower()} and depth: {self.depth}"
            )
        return self

    def build_network(self) -> DnCNN:
        """Build the network."""
        return DnCNN(**self.arguments())
