"""Recognise two images as the same scene, one of them degraded: pairs in folders whose names say nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import ImageError
from pipeline.images import read_image

_SIDE = 16  # pixels of what is compared: little enough that noise and blur vanish
_ALIKE = 0.9  # correlation: of blurred photos and their sharp sides 0.96 and more, of other photos 0.9 at the most


def same_scene(first: Path, second: Path) -> bool:
    """Return whether two image files look alike but for their size, brightness and details; False if one is broken."""
    try:
        small = [_small(path) for path in (first, second)]
    except (ImageError, OSError):
        return False
    deviations = [image - image.mean() for image in small]
    norms = [float(np.linalg.norm(deviation)) for deviation in deviations]
    return min(norms) > 0 and float((deviations[0] * deviations[1]).sum()) >= _ALIKE * norms[0] * norms[1]


def _small(path: Path) -> np.ndarray:
    pixels = read_image(path).pixels.astype(np.float32)
    gray = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    return cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
