"""Noise as it leaves a camera: made on the sensor, then spread over pixels and colours by the camera's processing.

    photo -> linear light -> sensor's colours -> one colour a pixel (Bayer) -> shot and read noise
    noise -> demosaiced -> white balance, colour matrix -> smoothed, its colours most -> added in linear light -> photo

After Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, https://arxiv.org/abs/1811.11127.
Every step behind the sensor is linear, so the noise goes through it alone and the photo keeps its detail.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stages.light import from_linear_light, to_linear_light
from train.degradation.functions.blur import blur
from train.degradation.functions.kernels import gaussian_kernels

# From CIE XYZ to four cameras' colours, and from linear sRGB to XYZ; as in that paper.
_XYZ_TO_CAMERAS = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
_RGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_RED_GAIN, _BLUE_GAIN = (1.9, 2.4), (1.5, 1.9)

# What a pixel's missing colours are interpolated by: green at red or blue, a colour from its row, its column, its
# diagonals. The same numbers below and right of the middle. Bilinear; and Malvar, He, Cutler, "High-quality linear
# interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004.
_BILINEAR = (
    ((0, 0, 0, 0, 0), (0, 0, 2, 0, 0), (0, 2, 0, 2, 0), (0, 0, 2, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 4, 0, 4, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, 4, 0, 0), (0, 0, 0, 0, 0), (0, 0, 4, 0, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0), (0, 2, 0, 2, 0), (0, 0, 0, 0, 0)),
)
_MALVAR = (
    ((0, 0, -1, 0, 0), (0, 0, 2, 0, 0), (-1, 2, 4, 2, -1), (0, 0, 2, 0, 0), (0, 0, -1, 0, 0)),
    ((0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 4, 5, 4, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0)),
    ((0, 0, -1, 0, 0), (0, -1, 4, -1, 0), (0.5, 0, 5, 0, 0.5), (0, -1, 4, -1, 0), (0, 0, -1, 0, 0)),
    ((0, 0, -1.5, 0, 0), (0, 2, 0, 2, 0), (-1.5, 0, 6, 0, -1.5), (0, 2, 0, 2, 0), (0, 0, -1.5, 0, 0)),
)
# Which colour the four pixels of a Bayer cell have, row by row, and where R, G and B come from at each of them: 0 is
# the pixel itself, 1 to 4 are the interpolations above.
_COLOURS = (0, 1, 1, 2)
_SOURCES = ((0, 2, 3, 4), (1, 0, 0, 1), (4, 3, 2, 0))

_LUMA = (0.299, 0.587, 0.114)
_SMOOTHING_RADIUS = 9

CAMERA_MARGIN = 2 + _SMOOTHING_RADIUS


class Cameras(NamedTuple):
    """Random cameras, one an image.

    Attributes:
        to_sensor: From linear sRGB to the sensor's colours, ``(B, 3, 3)``; white balance undone.
        phase: Where the Bayer cell begins, 0 to 3, ``(B,)``.
        malvar: Share of Malvar's interpolation; the rest is bilinear, ``(B,)``.
    """

    to_sensor: Tensor
    phase: Tensor
    malvar: Tensor


def random_cameras(count: int, device: torch.device, generator: Generator | None = None) -> Cameras:
    """Draw ``count`` cameras: colour matrices mixed of four, white balances, Bayer phases and demosaicing."""
    shares = torch.rand(count, 4, device=device, generator=generator)
    mixed = torch.einsum("bk,kij->bij", shares, torch.tensor(_XYZ_TO_CAMERAS, device=device))
    matrix = mixed @ torch.tensor(_RGB_TO_XYZ, device=device)
    matrix = matrix / matrix.sum(dim=2, keepdim=True)  # white stays white
    red, blue, malvar = torch.rand(3, count, device=device, generator=generator)
    exposure = 0.8 + 0.1 * torch.randn(count, device=device, generator=generator).clamp(-2, 2)
    balance = torch.stack([_within(_RED_GAIN, red), torch.ones_like(red), _within(_BLUE_GAIN, blue)], dim=1)
    phase = torch.randint(4, (count,), device=device, generator=generator)
    return Cameras(matrix * (exposure[:, None] / balance).unsqueeze(2), phase, malvar)


def read_noise_of(shot: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw the variances of read noise that cameras have at these variances of shot noise (both at white)."""
    spread = 0.26 * torch.randn(shot.shape, device=shot.device, generator=generator)
    return (2.18 * shot.log() + 1.20 + spread).exp()


def add_camera_noise(
    image: Tensor,
    shot: Tensor,
    read: Tensor,
    cameras: Cameras,
    luma: Tensor,
    chroma: Tensor,
    generator: Generator | None = None,
) -> Tensor:
    """Add the noise that a camera's sensor and processing make.

    Args:
        image: sRGB-encoded, ``(B, 3, H, W)`` of at least 3x3 pixels.
        shot: Variance of the shot noise at the sensor's white; it grows with the light.
        read: Variance of the read noise.
        cameras: One an image.
        luma: Standard deviation in pixels, 0 to 3, of the Gaussian by which the camera smooths the noise's luma.
        chroma: The same for what is left without luma. Cameras smooth it far more, as eyes see colours coarsely.
        generator: Source of randomness; the global one if absent.

    Returns:
        The noisy photo, not clipped at white. What falls below black is clipped, as the tone curve ends there.
    """
    light = to_linear_light(image)
    cells = _bayer_cells(cameras.phase)
    sensed = _mix(cameras.to_sensor, light).gather(1, _tiled(_lookup(_COLOURS, cells)[:, None], light))
    variance = shot.view(-1, 1, 1, 1) * sensed.clamp_min(0) + read.view(-1, 1, 1, 1)
    noise = torch.randn(sensed.shape, device=image.device, dtype=image.dtype, generator=generator) * variance.sqrt()
    colours = _mix(torch.linalg.inv_ex(cameras.to_sensor).inverse, _demosaic(noise, cells, cameras.malvar))
    return from_linear_light(light + _smooth(colours, luma, chroma))


def _within(bounds: tuple[float, float], share: Tensor) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _mix(matrices: Tensor, image: Tensor) -> Tensor:
    return (matrices @ image.flatten(2)).view_as(image)


def _bayer_cells(phase: Tensor) -> Tensor:
    """Return the sites, 0 to 3, of each image's top left 2x2 pixels, ``(B, 2, 2)``."""
    rows, columns = phase // 2, phase % 2
    step = torch.arange(2, device=phase.device)
    return ((rows[:, None] + step) % 2 * 2).unsqueeze(2) + ((columns[:, None] + step) % 2).unsqueeze(1)


def _lookup(table: tuple[int, ...], cells: Tensor) -> Tensor:
    return torch.tensor(table, device=cells.device)[cells]


def _tiled(cells: Tensor, image: Tensor) -> Tensor:
    """Repeat ``(B, C, 2, 2)`` over the size of an image."""
    height, width = image.shape[-2:]
    return cells.repeat(1, 1, -(-height // 2), -(-width // 2))[..., :height, :width]


def _demosaic(mosaic: Tensor, cells: Tensor, malvar: Tensor) -> Tensor:
    """Interpolate ``(B, 1, H, W)`` of a Bayer sensor to three colours; borders are mirrored, which keeps the cells."""
    bilinear, sharper = (torch.tensor(kernels, device=mosaic.device) / 8 for kernels in (_BILINEAR, _MALVAR))
    kernels = torch.lerp(bilinear, sharper, malvar.view(-1, 1, 1, 1)).flatten(0, 1).unsqueeze(1)
    padded = F.pad(mosaic, (2, 2, 2, 2), mode="reflect")
    found = F.conv2d(padded.transpose(0, 1), kernels, groups=len(mosaic)).view(len(mosaic), 4, *mosaic.shape[-2:])
    sources = torch.stack([_lookup(row, cells) for row in _SOURCES], dim=1)
    return torch.cat([mosaic, found], dim=1).gather(1, _tiled(sources, mosaic))


def _smooth(noise: Tensor, luma: Tensor, chroma: Tensor) -> Tensor:
    size = 2 * _SMOOTHING_RADIUS + 1
    gray = torch.einsum("c,bchw->bhw", noise.new_tensor(_LUMA), noise).unsqueeze(1)
    smooth_gray, smooth_chroma = (
        blur(part, gaussian_kernels(sigma.clamp_min(0.1), size))  # of 0.1 px: the pixel itself
        for part, sigma in ((gray, luma), (noise - gray, chroma))
    )
    return smooth_gray + smooth_chroma
