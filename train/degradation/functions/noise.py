"""Noise of textbooks and of sensors."""

import torch
from torch import Generator, Tensor


def add_gaussian_noise(image: Tensor, sigma: Tensor, generator: Generator | None = None) -> Tensor:
    """Add white Gaussian noise, as in the DnCNN training set.

    Args:
        image: Clean image.
        sigma: Standard deviations in 8-bit gray levels (25 means 25/255).
        generator: Source of randomness; the global one if absent.

    Returns:
        The noisy image. **Not** clamped: clipping would bias the noise near black and white.
    """
    noise = torch.randn(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    return image + noise * (sigma / 255).view(-1, 1, 1, 1)


def add_poisson_gaussian_noise(
    light: Tensor, photons: Tensor, read_noise: Tensor, generator: Generator | None = None
) -> Tensor:
    """Count photons as a sensor does: shot noise that grows with the light, and the amplifier's own noise.

    After Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP
    2008. The variance at a value x is ``(x * photons + read_noise^2) / photons^2``.

    Args:
        light: Image in **linear** light, where 1 is white.
        photons: How many of them make white; 100 is a photo at night, 10000 one in the sun.
        read_noise: Standard deviations in photons.
        generator: Source of randomness; the global one if absent.

    Returns:
        The noisy image in linear light, **not** clamped: read noise goes below black.
    """
    white, deviation = photons.view(-1, 1, 1, 1), read_noise.view(-1, 1, 1, 1)
    counted = torch.poisson(light.clamp_min(0) * white, generator=generator)
    read = torch.randn(light.shape, generator=generator, device=light.device, dtype=light.dtype) * deviation
    return (counted + read) / white
