"""Blur: one kernel for the whole image, kernels that change over it, a camera that turns, frames averaged.

All average what they are given: whether that is light or gamma-encoded values is the caller's choice.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stages.light import from_linear_light, to_linear_light
from train.degradation.functions.kernels import random_tracks, with_extent


def blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image with its own kernel (through the FFT); borders repeat the outermost pixels."""
    radius = kernels.shape[-1] // 2
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size).unsqueeze(1)
    result = torch.fft.irfft2(spectrum, s=size)
    return result[..., 2 * radius :, 2 * radius :]


def varying_blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Blur every place of an image in its own way.

    After Hirsch et al., "Efficient filter flow for space-variant multiframe blind deconvolution", CVPR 2010: the
    image blurred by each of the kernels, blended by the distance to the kernels' places.

    Args:
        image: ``(B, C, H, W)``.
        kernels: ``(B, rows, columns, K, K)``, spread evenly from corner to corner.
    """
    rows, columns = kernels.shape[1:3]
    one_hot = torch.eye(rows * columns, device=image.device, dtype=image.dtype).view(1, -1, rows, columns)
    shares = F.interpolate(one_hot, image.shape[-2:], mode="bilinear", align_corners=True)
    result = torch.zeros_like(image)
    for share, kernel in zip(shares.split(1, dim=1), kernels.flatten(1, 2).unbind(dim=1), strict=True):
        result += share * blur(image, kernel)
    return result


def object_blur(image: Tensor, background: Tensor, shape: Tensor, kernels: Tensor) -> Tensor:
    """Let an object move otherwise than what is behind it.

    The object's light and the share of the exposure during which it covers a place are blurred alike; the rest of the
    exposure shows the background.

    Args:
        image: ``(B, C, H, W)``, sharp.
        background: ``(B, C, H, W)``, the image in the blur of what is behind.
        shape: ``(B, 1, H, W)``, 1 where the object is.
        kernels: ``(B, K, K)``, the object's blur.
    """
    return blur(image * shape, kernels) + (1 - blur(shape, kernels)) * background


def random_shapes(count: int, size: tuple[int, int], device: torch.device, generator: Generator | None) -> Tensor:
    """Draw ``(count, 1, H, W)`` smooth shapes that cover about half of an image, with edges about a pixel soft."""
    cells = 4
    noise = torch.randn((count, 1, cells, cells), generator=generator, device=device)
    relief = F.interpolate(noise, size, mode="bicubic", align_corners=False)
    return (relief * min(size) / cells + 0.5).clamp(0, 1)


def shake(
    image: Tensor, length: Tensor, rotation: Tensor, generator: Generator | None = None, steps: int = 64
) -> Tensor:
    """Expose every image along the track of a hand-held camera that also turns about the image's centre.

    The blur of the centre is that of `shake_kernels`; the rotation adds to it towards the corners. Borders repeat
    the outermost pixels.

    Args:
        image: ``(B, C, H, W)``.
        length: Extent of the track in pixels.
        rotation: How far the corners travel by the rotation alone, in pixels: unlike an angle, it means as much blur
            in a crop as in the whole photo.
        generator: Source of randomness.
        steps: Moments of the exposure.
    """
    height, width = image.shape[-2:]
    track = random_tracks(len(image), steps, 3, image.device, generator)
    shift = with_extent(track[..., :2], length)
    angle = with_extent(track[..., 2:], rotation) / (0.5 * (height**2 + width**2) ** 0.5)
    result = torch.zeros_like(image)
    for moment in range(steps):
        result += _moved(image, shift[:, moment], angle[:, moment, 0])
    return result / steps


def average_frames(frames: Tensor, *, linear_light: bool) -> Tensor:
    """Blur by averaging neighbouring sharp frames of a video, as GoPro and REDS were made.

    Args:
        frames: ``(B, N, 3, H, W)``; the clean image is the one in the middle.
        linear_light: Average light, as a sensor does, instead of gamma-encoded values.
    """
    if linear_light:
        return from_linear_light(to_linear_light(frames).mean(dim=1))
    return frames.mean(dim=1)


def _moved(image: Tensor, shift: Tensor, angle: Tensor) -> Tensor:
    """Turn images about their centres by ``angle`` radians, then shift them by ``(B, 2)`` rows and columns."""
    height, width = image.shape[-2:]
    cos, sin = angle.cos(), angle.sin()
    down, right = shift.unbind(dim=1)
    # Where each pixel comes from, in coordinates that run from -1 to 1 along both sides.
    across = torch.stack([cos, sin * height / width, -(cos * right + sin * down) * 2 / width], dim=1)
    along = torch.stack([-sin * width / height, cos, -(cos * down - sin * right) * 2 / height], dim=1)
    grid = F.affine_grid(torch.stack([across, along], dim=1), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
