"""Take back what deconvolution invented: the ripples beside edges that a kernel nearly right leaves in smooth places.

A blur erases some frequencies, and whatever the result holds of those comes from the prior. Beside detail it belongs to
edges; where it outweighs the frequencies that the blur let through, it is ringing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stages.deconvolution.fourier import filtered, pad_periodic, transfer_function
from stages.deconvolution.kernels import reach
from stages.deconvolution.measures import local_mean, luma

# A frequency counts as erased, in a soft way, where the blur lets less of it through than this.
_ERASED = 0.2
# Per pixel; ringing lies in between, and so does what it is compared with.
_LOWEST_FREQUENCY, _HIGHEST_FREQUENCY = 0.04, 0.3
# Of the erased frequencies' power over the others', relative to that in natural images: from here on, wholly from here.
_SOME, _ALL = 0.5, 1.0
_SMALLEST_RADIUS = 8


def without_ringing(image: Tensor, kernel: Tensor) -> Tensor:
    """Remove, where they ring, the frequencies that a blur has erased.

    Args:
        image: The deblurred image, ``(3, H, W)``.
        kernel: Of the blur, ``(K, K)``.
    """
    padded, placement = pad_periodic(image, len(kernel))
    shape = (padded.shape[-2], padded.shape[-1])
    erased = torch.exp(-(transfer_function(kernel, shape).abs() / _ERASED).square())
    band = _whitening_band(shape, image)
    gray, radius = luma(padded), max(_SMALLEST_RADIUS, reach(kernel))
    powers = []
    for share in (erased, 1 - erased):
        response = placement.crop(filtered(gray, share * band)).square()
        powers.append(local_mean(response, radius) / share[band > 0].square().mean().clamp_min(1e-6))
    ratio = powers[0] / (powers[1] + 1e-6)
    ringing = local_mean(((ratio - _SOME) / (_ALL - _SOME)).clamp(0, 1), radius // 2)
    return image - ringing * placement.crop(filtered(padded, erased))


def _whitening_band(shape: tuple[int, int], like: Tensor) -> Tensor:
    """Return the spectrum of a band pass that gives all frequencies of a natural image the same power."""
    rows = torch.fft.fftfreq(shape[0], device=like.device)[:, None]
    frequency = torch.hypot(rows, torch.fft.rfftfreq(shape[1], device=like.device))
    return frequency * ((frequency > _LOWEST_FREQUENCY) & (frequency < _HIGHEST_FREQUENCY))
