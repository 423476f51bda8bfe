"""Pieces that two or more stages share."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Per channel, of ImageNet's training images in [0, 1]: what published classifiers are given.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def conv3x3(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """Build a 3x3 convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)


_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)


def zero_init(layer: _Layer) -> _Layer:
    """Zero a residual branch's last layer, so that training starts from the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions without normalisation, scaled and added to the input (Lim et al., EDSR, CVPRW 2017)."""

    def __init__(self, width: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3x3(width, width), nn.ReLU(inplace=True), conv3x3(width, width))
        self.res_scale = res_scale

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape ``(B, width, H, W)``."""
        return features + self.body(features) * self.res_scale


def gaussian_kernel(sigma: float) -> Tensor:
    """Return the normalised one-dimensional Gaussian, cut at three standard deviations (pixels)."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return kernel / kernel.sum()


BICUBIC_HALO = 2
LANCZOS_HALO = 3


def bicubic_upscale(image: Tensor, scale: int) -> Tensor:
    """Upscale ``(B, C, H, W)`` by an integer factor with the field's bicubic kernel (Keys, a = -0.5), in float32."""
    return polyphase_upscale(image, scale, keys_kernel, BICUBIC_HALO)


def polyphase_upscale(image: Tensor, scale: int, kernel: Callable[[Tensor], Tensor], support: int) -> Tensor:
    """Upscale ``(B, C, H, W)`` by an integer factor with an interpolation kernel, in float32.

    Each of the ``scale x scale`` pixels that a pixel becomes is a fixed filter around it, so that a part of an image
    gives the very pixels of the whole; interpolation at float coordinates does not. Borders repeat the outermost
    pixels.

    Args:
        image: ``(B, C, H, W)``.
        scale: Output pixels per input pixel and axis; 1 returns the image itself.
        kernel: Weights at distances in pixels of the image, zero from ``support``; made to sum to one.
        support: Radius of the kernel, which is how far a pixel looks.
    """
    if scale == 1:
        return image
    channels = image.shape[1]
    filters = polyphase_filters(scale, kernel, support, image.device)
    rows, columns = filters.view(scale, 1, -1, 1), filters.view(scale, 1, 1, -1)
    padded = F.pad(image.float(), (support,) * 4, mode="replicate")
    with full_precision(image.device.type):
        upscaled = F.conv2d(padded, rows.repeat(channels, 1, 1, 1), groups=channels)
        upscaled = F.conv2d(upscaled, columns.repeat(channels * scale, 1, 1, 1), groups=channels * scale)
    return F.pixel_shuffle(upscaled, scale)


def keys_kernel(distance: Tensor) -> Tensor:
    """Cubic convolution kernel of Keys (1981) with a = -0.5, zero from a distance of 2."""
    x = distance.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def lanczos_kernel(distance: Tensor) -> Tensor:
    """Lanczos kernel of three lobes (Duchon 1979), zero from a distance of 3."""
    window = torch.sinc(distance / LANCZOS_HALO)
    return torch.where(distance.abs() < LANCZOS_HALO, torch.sinc(distance) * window, torch.zeros_like(distance))


def full_precision(device_type: str) -> AbstractContextManager[object]:
    """Switch autocast off, where the device has it; the meta device does not."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def polyphase_filters(scale: int, kernel: Callable[[Tensor], Tensor], support: int, device: torch.device) -> Tensor:
    """Return the ``(scale, 2 * support + 1)`` filters along one axis, one for each place inside an input pixel."""
    return _make_filters(scale, kernel, support, device)


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # a cached inference tensor would be refused where gradients are computed
def _make_filters(scale: int, kernel: Callable[[Tensor], Tensor], support: int, device: torch.device) -> Tensor:
    places = (torch.arange(scale, dtype=torch.float64, device="cpu") + 0.5) / scale - 0.5
    taps = torch.arange(-support, support + 1, device="cpu")
    filters = kernel(taps - places[:, None])
    return (filters / filters.sum(dim=1, keepdim=True)).float().to(device)


def with_planes(image: Tensor, values: Tensor) -> Tensor:
    """Append constant planes of ``(1 or B, N, 1, 1)`` values to ``(B, C, H, W)``."""
    return torch.cat([image, values.to(image.dtype).expand(len(image), -1, *image.shape[-2:])], dim=1)


def finer_halo(halo: int, factor: int) -> int:
    """Express a dependency radius on a ``factor`` times coarser grid in pixels of the finer grid.

    A fine pixel sits anywhere inside its coarse cell, so the cell's own width counts once.
    """
    return factor * halo + factor - 1


def coarser_halo(halo: int, factor: int) -> int:
    """Express a dependency radius on a ``factor`` times finer grid in pixels of the coarser grid."""
    return -(-halo // factor)


def halo_of(last_seen: Callable[[int], int], multiple_of: int) -> int:
    """Return the radius of a network that looks no further back than ahead.

    Args:
        last_seen: The last input row that an output row depends on.
        multiple_of: After how many rows that repeats.
    """
    return max(last_seen(row) - row for row in range(multiple_of))


def unet_halo(levels: int, block: int) -> int:
    """Return a U-Net's radius at its own resolution: a block each way around the coarser U-Net inside it.

    Args:
        levels: Resolutions, each half of the one above.
        block: Radius of what runs at every level, in pixels of that level.
    """
    if levels == 1:
        return block
    return block + finer_halo(unet_halo(levels - 1, block), 2) + block
