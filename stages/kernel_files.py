"""Blur kernels in files: read from images or NumPy's ``.npy``, written as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.errors import WeightsError


def read_kernel(path: Path) -> Tensor:
    """Read a blur kernel from an image, whose brightness counts, or from NumPy's ``.npy``.

    Returns:
        ``(H, W)``, scaled to the sum one.

    Raises:
        WeightsError: if it is neither, or no kernel.
    """
    array = _read_array(path)
    if array.ndim != 2 or array.dtype.kind not in "uif":
        raise WeightsError(f"{path} holds {array.dtype} of shape {array.shape}, expected numbers in rows and columns")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() == 0:
        raise WeightsError(f"{path} is no blur kernel: expected finite weights, none negative and not all zero")
    return torch.tensor(array / array.sum(dtype=np.float64), dtype=torch.float32)


def encode_kernel(kernel: Tensor) -> bytes:
    """Encode a blur kernel, ``(H, W)`` and not negative, as a gray PNG of 16 bits that ``read_kernel`` reads."""
    import cv2  # not needed to read most chains, and slow to start

    levels = (kernel / kernel.max() * 65535).round().cpu().numpy().astype(np.uint16)
    return bytes(cv2.imencode(".png", levels)[1])


def _read_array(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        try:
            with path.open("rb") as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise WeightsError(f"{path} is not NumPy's .npy ({error})") from error
    import cv2  # not needed to read most chains, and slow to start

    array = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if array is None:
        raise WeightsError(f"{path} is neither an image nor .npy")
    return array
