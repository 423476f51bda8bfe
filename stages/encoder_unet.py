"""U-Net on an encoder trained for ImageNet: Ronneberger et al.'s decoder (https://arxiv.org/abs/1505.04597) behind
Simonyan, Zisserman, "Very Deep Convolutional Networks", ICLR 2015 (https://arxiv.org/abs/1409.1556), with batch norm,
or Tan, Le, "EfficientNet", ICML 2019 (https://arxiv.org/abs/1905.11946); both as segmentation_models_pytorch has them.

    image - ImageNet's mean, / deviation -> encoder -> decoder -> 3x3 conv -> + image

Here the encoder's weights are random. A training may start from those of ImageNet (``pretrained`` in its YAML); the
weights file then holds them with all the rest, so that running a chain never downloads anything.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.errors import WeightsError
from stages.extras import install_hint
from stages.layers import IMAGENET_DEVIATION, IMAGENET_MEAN, zero_init
from stages.stage import LearnedStageConfig, Stage

_VGG19_CONVOLUTIONS = (2, 2, 4, 4, 4)


class EncoderUNet(Stage):
    """U-Net decoder on an ImageNet encoder, predicting what to add to the image.

    Args:
        encoder: Name in segmentation_models_pytorch.
        width: Channels of the decoder's finest level; every level below doubles them.

    Raises:
        WeightsError: if segmentation_models_pytorch is not installed.
    """

    multiple_of = 32
    mean: Tensor
    deviation: Tensor

    def __init__(self, *, encoder: str, width: int) -> None:
        super().__init__()
        self.halo = _vgg19_halo() if encoder == "vgg19_bn" else None  # EfficientNet squeezes and excites
        self.encoder_name = encoder
        self.network = _build_network(encoder, width)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, same shape."""
        residual: Tensor = self.network((image - self.mean) / self.deviation)
        return image + residual

    def fuse(self) -> Stage:
        """Fold every batch norm into the convolution before it."""
        _fold_batch_norm(self.network)
        return self


def _build_network(encoder: str, width: int) -> nn.Module:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise WeightsError(
            f"stage encoder_unet needs segmentation-models-pytorch ({error}); {install_hint('zoo')}"
        ) from error
    network: Any = smp.Unet(
        encoder, encoder_weights=None, decoder_channels=[width * 2**level for level in reversed(range(5))], classes=3
    )
    if encoder.startswith("efficientnet"):  # the classifier's last layers, which no image goes through
        network.encoder._conv_head, network.encoder._bn1 = nn.Identity(), nn.Identity()
    zero_init(network.segmentation_head[0])
    unet: nn.Module = network
    return unet


def _vgg19_halo() -> int:
    """Add up the radii of the 3x3 convolutions, one pixel of their level each, and the extent of the coarsest pixel."""
    encoder = sum(count * 2**level for level, count in enumerate(_VGG19_CONVOLUTIONS))
    centre = 2 * 2**5
    decoder = sum(2 * 2**level for level in range(5))
    cells = 2**5 - 1
    head = 1
    return encoder + centre + cells + decoder + head


def _fold_batch_norm(module: nn.Module) -> None:
    """Fold in place; in these networks a convolution's batch norm is the module defined next."""
    before, convolution = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
            setattr(module, before, fuse_conv_bn_eval(convolution, child))
            setattr(module, name, nn.Identity())
        else:
            _fold_batch_norm(child)
        before, convolution = name, child


class EncoderUNetConfig(LearnedStageConfig):
    """Options of ``stage: encoder_unet``."""

    summary: ClassVar[str] = "deblur: U-Net, ImageNet encoder"
    stage: Literal["encoder_unet"] = "encoder_unet"
    normalize: Literal["none"] = Field("none", description="its encoder's input always is, by ImageNet's statistics")
    encoder: Literal["vgg19_bn", "efficientnet-b4"] = Field("efficientnet-b4", description="the ImageNet network")
    width: int = Field(16, ge=1, description="channels of the decoder's finest level, doubled by every level below")

    def build_network(self) -> EncoderUNet:
        """Build the network, with random weights in the encoder too."""
        return EncoderUNet(**self.arguments())
