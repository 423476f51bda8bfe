"""Circular filters in the Fourier domain, and borders that suit them.

A spectrum is that of ``torch.fft.rfft2``. Kernels have odd sides and their origin in the middle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Spectra(NamedTuple):
    """What every solver divides by: a kernel's spectrum, its power, and the power of the two differences."""

    kernel: Tensor
    power: Tensor
    differences: Tensor


class Placement(NamedTuple):
    """Where an image lies in its padded version."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, padded: Tensor) -> Tensor:
        """Return the image without its padding."""
        return padded[..., self.top : self.top + self.height, self.left : self.left + self.width]


def transfer_function(kernel: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the spectrum of a kernel whose middle is the origin, for images of this shape."""
    rows, columns = kernel.shape
    padded = F.pad(kernel, (0, shape[1] - columns, 0, shape[0] - rows))
    return torch.fft.rfft2(torch.roll(padded, (-(rows // 2), -(columns // 2)), (0, 1)))


def spectra_of(kernel: Tensor, shape: tuple[int, int]) -> Spectra:
    """Return what the solvers need of a kernel."""
    spectrum = transfer_function(kernel, shape)
    return Spectra(spectrum, spectrum.abs().square(), _difference_power(shape, kernel.device))


def filtered(image: Tensor, spectrum: Tensor) -> Tensor:
    """Convolve ``(..., H, W)`` circularly with the filter of a spectrum."""
    return torch.fft.irfft2(torch.fft.rfft2(image) * spectrum, s=image.shape[-2:])


def phase_of(rows: float, columns: float, like: Tensor) -> Tensor:
    """Return the spectrum that moves ``(..., H, W)`` circularly, also by parts of pixels."""
    turns = torch.fft.fftfreq(like.shape[-2], device=like.device)[:, None] * rows
    turns = turns + torch.fft.rfftfreq(like.shape[-1], device=like.device) * columns
    return torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)


def differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the forward differences along rows and columns of ``(..., H, W)``, circular."""
    return _difference(image, -1), _difference(image, -2)


def adjoint_differences(across: Tensor, down: Tensor) -> Tensor:
    """Return the adjoint of ``differences``: minus the divergence."""
    result = (across + down).neg_()
    for axis, difference in ((-1, across), (-2, down)):
        last = difference.shape[axis] - 1
        result.narrow(axis, 1, last).add_(difference.narrow(axis, 0, last))
        result.narrow(axis, 0, 1).add_(difference.narrow(axis, last, 1))
    return result


def divide_by_power(spectrum: Tensor, power: Tensor) -> Tensor:
    """Divide a spectrum by real numbers, in place and without making those complex."""
    torch.view_as_real(spectrum).div_(power.unsqueeze(-1))
    return spectrum


def pad_periodic(image: Tensor, margin: int) -> tuple[Tensor, Placement]:
    """Pad ``(..., H, W)`` by at least a margin so that opposite borders meet without an edge.

    The outermost pixels are repeated and then mixed with a blurred, circular version of the image, the more the
    farther out; the size becomes one that Fourier transforms are fast for.
    """
    height, width = image.shape[-2:]
    rows, columns = fast_length(height + 2 * margin), fast_length(width + 2 * margin)
    top, left = (rows - height) // 2, (columns - width) // 2
    spread = (left, columns - width - left, top, rows - height - top)
    padded = F.pad(image.reshape(1, -1, height, width), spread, mode="replicate").view(*image.shape[:-2], rows, columns)
    own = torch.outer(_trapezium(rows, spread[2:], image), _trapezium(columns, spread[:2], image))
    blurred = transfer_function(image.new_full((2 * margin + 1,) * 2, 1 / (2 * margin + 1) ** 2), (rows, columns))
    for _ in range(2):
        padded = torch.lerp(filtered(padded, blurred), padded, own)
    return padded, Placement(top, left, height, width)


def fast_length(length: int) -> int:
    """Return the next length without prime factors beyond 5, which Fourier transforms are fast for."""
    while not _is_smooth(length):
        length += 1
    return length


def _is_smooth(number: int) -> bool:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


def _difference(image: Tensor, axis: int) -> Tensor:
    result, last = torch.empty_like(image), image.shape[axis] - 1
    torch.sub(image.narrow(axis, 1, last), image.narrow(axis, 0, last), out=result.narrow(axis, 0, last))
    torch.sub(image.narrow(axis, 0, 1), image.narrow(axis, last, 1), out=result.narrow(axis, last, 1))
    return result


def _difference_power(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Return the sum of the squared magnitudes of the spectra of both differences."""
    rows = 4 * torch.sin(torch.pi * torch.fft.fftfreq(shape[0], device=device)).square()
    columns = 4 * torch.sin(torch.pi * torch.fft.rfftfreq(shape[1], device=device)).square()
    return rows[:, None] + columns


def _trapezium(length: int, ramps: tuple[int, int], like: Tensor) -> Tensor:
    """Return weights that rise linearly over the first ramp, are one, and fall over the last."""
    place = torch.arange(length, dtype=like.dtype, device=like.device) + 0.5
    return torch.minimum(place / ramps[0], (length - place) / ramps[1]).clamp(0, 1)
