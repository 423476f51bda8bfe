"""Convert NumPy pixels of any supported dtype to image tensors in ``[0, 1]`` and back.

Pixels are transferred as integers and converted on the device, which takes a quarter of the bandwidth of floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.device.transfer import down, up
from pipeline.pixels import Pixels, white
from pipeline.tiling import Region
from stages.layers import bicubic_upscale

# Torch only stores uint16, and Metal does not even do that, so 16 bits travel as int32.
_CARRIERS = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32}

# Filters overshoot [0, 1] a little, which is clamped; clamping pixels in [0, 255] would leave nothing but white.
_OVERSHOOT = 2.0


def checked(image: Pixels) -> Pixels:
    """Validate an image, ``(H, W, 3)`` or ``(H, W)``, and return it as uint8, uint16 or float32.

    Raises:
        TypeError: for anything but an array of these dtypes.
        ValueError: for any other shape, for no pixels at all, or for floats that are not finite or on another scale.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"got {type(image).__name__}, expected a NumPy array of pixels")
    native = np.dtype(np.float32) if image.dtype.kind == "f" else image.dtype.newbyteorder("=")
    image = image.astype(native, copy=False)
    if image.dtype.name not in _CARRIERS:
        raise TypeError(f"got pixels of {image.dtype}, expected uint8, uint16 or float in [0, 1]")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"got an array of shape {image.shape}, expected (H, W, 3) in RGB or (H, W) in gray; "
            "remove alpha first, and move channels last"
        )
    if image.size == 0:
        raise ValueError(f"got an array of shape {image.shape}, which holds no pixels")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError("got floats that are NaN or infinite, expected values in [0, 1]")
    if image.dtype.kind == "f" and image.max() > _OVERSHOOT:
        raise ValueError(f"got floats up to {image.max():g}, expected values in [0, 1]; divide by the value of white")
    return image


def cut(pixels: Pixels, region: Region) -> Pixels:
    """Return a copy of a region; beyond the right and bottom edges the border pixels repeat."""
    found = pixels[region.slices]
    missing = [(0, region.rows.length - found.shape[0]), (0, region.columns.length - found.shape[1])]
    return np.pad(found, missing + [(0, 0)] * (pixels.ndim - 2), mode="edge")


def to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Upload pixels as ``(1, 3, H, W)`` in ``[0, 1]``, channels last; gray becomes three equal channels."""
    carrier = pixels.astype(np.int32) if pixels.dtype == np.uint16 else pixels
    image = up(torch.from_numpy(carrier), device).float().div(white(pixels.dtype)).clamp(0, 1)
    if image.ndim == 2:
        image = image.unsqueeze(2).expand(-1, -1, 3)
    return image.permute(2, 0, 1).unsqueeze(0)


def to_pixels(image: Tensor, dtype: np.dtype[Any], *, gray: bool) -> Pixels:
    """Download ``(1, 3, H, W)`` in ``[0, 1]``, rounded to the nearest level of an integer dtype.

    Gray is the plain mean of the channels: three equally good estimates of one value, not three colours.
    """
    return begin_download(image, dtype, gray=gray)()


def upscaled(pixels: Pixels, scale: int) -> Pixels:
    """Return pixels upscaled bicubically by a whole factor, on the CPU; same dtype, gray stays gray."""
    image = to_tensor(pixels, torch.device("cpu"))
    gray = pixels.ndim == 2
    larger = bicubic_upscale(image[:, :1] if gray else image, scale)
    return to_pixels(larger.clamp(0, 1), pixels.dtype, gray=gray)


def begin_download(image: Tensor, dtype: np.dtype[Any], *, gray: bool) -> Callable[[], Pixels]:
    """Start what ``to_pixels`` does; return a function that waits for the pixels and returns them."""
    pixels = image.squeeze(0).permute(1, 2, 0)
    if gray:
        pixels = pixels.mean(dim=2)
    if dtype.kind != "f":
        pixels = pixels.mul(white(dtype)).round()
    coming = down(pixels.to(_CARRIERS[dtype.name]).contiguous())
    return lambda: coming.result().numpy().astype(dtype, copy=False)
