"""EDSR: Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017.
https://arxiv.org/abs/1707.02921

    image - mean -> conv -> depth x [conv, ReLU, conv, x res_scale, +] -> conv -> + -> upsampler -> + mean
                      |_______________________________________________________|

The upsampler is the paper's (convolution and pixel shuffle per factor of 2 or 3, then a convolution at the large
size), or ``direct``: one convolution and one shuffle straight to RGB, which nearly halves a small network's work.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.layers import BICUBIC_HALO, ResidualBlock, bicubic_upscale, coarser_halo, conv3x3, zero_init
from stages.stage import LearnedStageConfig, Stage

# Mean colour of DIV2K, which the published models subtract.
_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


class EDSR(Stage):
    """Super-resolution by residual blocks at the small size.

    Args:
        scale: Output pixels per input pixel and axis: 2, 3 or 4.
        width: Channels; 64 in the baseline, 256 in the large model.
        depth: Residual blocks; 16 in the baseline, 32 in the large model.
        res_scale: Factor on every residual branch; 0.1 keeps the large model stable.
        upsampler: ``shuffle`` (the paper's) or ``direct``.
        bicubic_skip: Add the bicubic upscale, so that training starts from it instead of from black.
    """

    mean: Tensor

    def __init__(
        self, *, scale: int, width: int, depth: int, res_scale: float, upsampler: str, bicubic_skip: bool
    ) -> None:
        super().__init__()
        self.scale = scale
        self.bicubic_skip = bicubic_skip
        self.head = conv3x3(3, width)
        self.body = nn.Sequential(*(ResidualBlock(width, res_scale) for _ in range(depth)), conv3x3(width, width))
        steps = [scale] if scale == 3 or upsampler == "direct" else [2] * (scale // 2)
        self.tail = _direct_tail(width, scale) if upsampler == "direct" else _shuffle_tail(width, steps)
        if bicubic_skip:
            zero_init(_last_convolution(self.tail))
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        features_halo = 1 + 2 * depth + 1 + _tail_halo(steps, direct=upsampler == "direct")
        self.halo = max(features_halo, BICUBIC_HALO)

    def from_published(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Convert the authors' state_dict, whose images are in ``[0, 255]``: of all that is learned, only the biases
        have a unit.
        """
        if "head.0.weight" not in tensors:
            return tensors
        names = {name: name.replace("head.0.", "head.") for name in tensors if "_mean." not in name}
        return {ours: tensors[name] / (255 if name.endswith("bias") else 1) for name, ours in names.items()}

    def forward(self, image: Tensor) -> Tensor:
        """Return the upscaled image, ``(B, 3, scale * H, scale * W)``."""
        shallow = self.head(image - self.mean)
        detail = self.tail(shallow + self.body(shallow))
        return detail + (bicubic_upscale(image, self.scale) if self.bicubic_skip else self.mean)


def _shuffle_tail(width: int, steps: list[int]) -> nn.Sequential:
    upsampler = [layer for step in steps for layer in (conv3x3(width, width * step**2), nn.PixelShuffle(step))]
    return nn.Sequential(nn.Sequential(*upsampler), conv3x3(width, 3))


def _direct_tail(width: int, scale: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(width, 3 * scale**2), nn.PixelShuffle(scale))


def _last_convolution(tail: nn.Module) -> nn.Conv2d:
    return [layer for layer in tail.modules() if isinstance(layer, nn.Conv2d)][-1]


def _tail_halo(steps: list[int], *, direct: bool) -> int:
    """Radius of the tail in pixels of the small image."""
    halo = 0 if direct else 1
    for step in reversed(steps):
        halo = coarser_halo(halo, step) + 1
    return halo


class EDSRConfig(LearnedStageConfig):
    """Options of ``stage: edsr``."""

    summary: ClassVar[str] = "upscale: residual blocks"
    stage: Literal["edsr"] = "edsr"
    scale: Literal[2, 3, 4] = Field(2, description="output pixels per input pixel and axis")
    width: int = Field(64, ge=1, description="channels")
    depth: int = Field(16, ge=1, description="residual blocks")
    res_scale: float = Field(1.0, gt=0, description="factor on every residual branch")
    upsampler: Literal["shuffle", "direct"] = Field("shuffle", description="the paper's, or straight to RGB")
    bicubic_skip: bool = Field(False, description="add the bicubic upscale")

    def build_network(self) -> EDSR:
        """Build the network."""
        return EDSR(**self.arguments())
