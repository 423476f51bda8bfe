"""DnCNN: Zhang, Zuo, Chen, Meng, Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image
Denoising", IEEE TIP 2017. https://arxiv.org/abs/1608.03981

    image -> [conv, ReLU] -> (depth - 2) x [conv, batch norm, ReLU] -> [conv] -> noise;  image - noise

``unshuffle: 2`` works on the 2x2 polyphase planes instead (as FFDNet does, https://arxiv.org/abs/1710.04026): a
quarter of the pixels, a receptive field twice as wide. ``skips: true`` turns the inner convolutions into residual
blocks without batch norm, as DRUNet does (https://arxiv.org/abs/2008.13751): trained for minutes instead of days,
they are far ahead.

``noise_level_input: true`` appends a constant plane with the noise level / 255, as FFDNet does: the network need not
guess. The level is given (``noise_level: 12``), or estimated by a small network, once for a whole image, as in CBDNet
(https://arxiv.org/abs/1807.04686).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.layers import ResidualBlock, conv3x3, finer_halo, zero_init
from stages.noise_estimator import NoiseEstimator
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
        predicts: What comes out of the network: the noise, which is then subtracted, or the clean image.
        noise_level_input: The network is given the noise level.
        noise_level: Standard deviation in 8-bit gray levels; ``auto`` to take it from the plane behind the image's
            three, or where there is none, to estimate it from that image.
        estimator: Neurons in a layer of the network that estimates the level; 0 for none.
    """

    def __init__(
        self,
        *,
        channels: int,
        depth: int,
        width: int,
        unshuffle: int,
        skips: bool,
        batch_norm: bool,
        predicts: Literal["noise", "clean"],
        noise_level_input: bool,
        noise_level: Literal["auto"] | float,
        estimator: int,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.unshuffle = unshuffle
        self.predicts = predicts
        self.noise_level_input = noise_level_input
        self.noise_level = noise_level
        self.measures = int(noise_level_input and noise_level == "auto")
        self.multiple_of = unshuffle
        self.halo = finer_halo(depth, unshuffle)
        planes = channels * unshuffle**2
        inner = _residual_layers(depth, width) if skips else _plain_layers(depth, width, batch_norm)
        tail = conv3x3(width, planes)
        self.model = nn.Sequential(
            conv3x3(planes + noise_level_input, width),
            nn.ReLU(inplace=True),
            *inner,
            zero_init(tail) if skips else tail,
        )
        self.estimator = NoiseEstimator(estimator) if estimator else None

    def forward(self, image: Tensor) -> Tensor:
        """Return ``image`` less the noise found in it, ``(B, 3, H, W)``."""
        colours = image[:, :3] if self.noise_level_input else image
        planes = colours.reshape(-1, self.channels, *image.shape[-2:])
        given = F.pixel_unshuffle(planes, self.unshuffle)
        if self.noise_level_input:
            given = torch.cat([given, self._level_plane(image, given)], dim=1)
        found = F.pixel_shuffle(self.model(given), self.unshuffle)
        return (found if self.predicts == "clean" else planes - found).reshape(colours.shape)

    def measure(self, image: Tensor) -> Tensor:
        """Estimate the noise level / 255 of each image, ``(B, 1, 1, 1)``."""
        if self.estimator is None:
            raise TypeError("the network has no estimator, expected a noise_level")
        return self.estimator(image)

    def _level_plane(self, image: Tensor, planes: Tensor) -> Tensor:
        """Return the noise level / 255 for each of the unshuffled images, ``(B or 3 B, 1, h, w)``."""
        blank = planes[:, :1] * 0  # whose size other engines can follow, unlike that of a new tensor
        if self.noise_level != "auto":
            return blank + self.noise_level / 255
        level = F.avg_pool2d(image[:, 3:], self.unshuffle) if image.shape[1] > 3 else self.measure(image)
        return blank + (level if self.channels == 3 else level.repeat_interleave(3, dim=0))

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
    run_options: ClassVar[frozenset[str]] = frozenset({"noise_level"})
    later_options: ClassVar[dict[str, Any]] = {
        **LearnedStageConfig.later_options,
        "predicts": "noise",
        "noise_level_input": False,
        "noise_level": "auto",
        "estimator": 0,
    }
    stage: Literal["dncnn"] = "dncnn"
    channels: Literal[1, 3] = Field(3, description="3: colour; 1: a gray network, run on each channel")
    depth: int = Field(20, ge=3, description="convolutions")
    width: int = Field(64, ge=1, description="channels of the hidden layers")
    unshuffle: Literal[1, 2, 4] = Field(1, description="work at 1/n of the size, on n x n planes")
    skips: bool = Field(False, description="residual blocks inside; depth must be even, batch_norm false")
    batch_norm: bool = Field(True, description="batch norm while training; folded when run")

    predicts: Literal["noise", "clean"] = Field("noise", description="what the network returns; FFDNet: clean")
    noise_level_input: bool = Field(False, description="the network is given the noise level, as FFDNet is")
    noise_level: Literal["auto"] | Annotated[float, Field(ge=0, le=75)] = Field(
        "auto", description="standard deviation of the noise in gray levels; auto: estimated, once for every image"
    )
    estimator: int = Field(0, ge=0, description="width of the network that estimates the noise level; 0: none")

    @model_validator(mode="after")
    def _skips_fit(self) -> DnCNNConfig:
        if self.skips and (self.batch_norm or self.depth % 2):
            raise ValueError(
                f"skips: true goes with batch_norm: false and an even depth, got batch_norm: "
                f"{str(self.batch_norm).lower()} and depth: {self.depth}"
            )
        return self

    @model_validator(mode="after")
    def _noise_level_fits(self) -> DnCNNConfig:
        if not self.noise_level_input and (self.noise_level != "auto" or self.estimator):
            raise ValueError("noise_level and estimator: have no effect without noise_level_input: true; leave out")
        if self.noise_level_input and self.normalize != "none":
            raise ValueError("normalize: must be none with noise_level_input, as the level would be normalized, too")
        if self.noise_level_input and self.noise_level == "auto" and not self.estimator:
            raise ValueError("noise_level: got auto, expected a number from 0 to 75: the network has no estimator")
        return self

    def build_network(self) -> DnCNN:
        """Build the network."""
        return DnCNN(**self.arguments())
