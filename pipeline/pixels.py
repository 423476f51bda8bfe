"""The type of pixels in NumPy arrays, and their white level."""

from typing import Any

import numpy as np

Pixels = np.ndarray[Any, Any]
"""``(H, W, 3)`` RGB or ``(H, W)`` gray; uint8, uint16, or float in ``[0, 1]``."""


def white(dtype: np.dtype[Any]) -> int:
    """Return the value that stands for 1.0."""
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)
