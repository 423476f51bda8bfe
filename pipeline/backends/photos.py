"""Photos for calibration and comparison: crops of scikit-image's, clean, noisy, very noisy and blurred."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import cv2
import numpy as np
import torch
from torch import Tensor

from pipeline.tiling import round_up

_NOISE_SIGMAS = 0.0, 10.0, 40.0, 0.0
_BLUR_SIGMAS = 0.0, 0.0, 0.0, 1.5
_TRIAL_SIZES = (80, 136), (17, 31), (203, 58)


def calibration_photos() -> list[Tensor]:
    """Return crops of the sizes that networks are trained on, ``(1, 3, 128, 128)`` in ``[0, 1]``."""
    return [photo for name in ("astronaut", "coffee") for photo in _crops(name, 8, 128, 128)]


def comparison_photos(multiple_of: int, count: int) -> list[Tensor]:
    """Return crops of another photo, neither square nor of the size that a network is traced with."""
    height, width = (round_up(side, multiple_of) for side in (80, 136))
    return list(_crops("chelsea", count, height, width))


def trial_photos(multiple_of: int) -> list[Tensor]:
    """Return crops of very different sizes and shapes, for an engine that may hold on to the first."""
    sizes = [[round_up(side, multiple_of) for side in size] for size in _TRIAL_SIZES]
    return [crop for height, width in sizes for crop in _crops("chelsea", 1, height, width)]


def race_photo(multiple_of: int, size: tuple[int, int]) -> Tensor:
    """Return a crop of a height and width, rounded up, to time engines on."""
    height, width = (round_up(side, multiple_of) for side in size)
    return next(_crops("coffee", 1, height, width))


def read(name: str) -> np.ndarray:
    """Read one of scikit-image's photos, not by its reader, whose import would take 0.2 s of every start."""
    content = np.frombuffer((files("skimage") / "data" / f"{name}.png").read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))[..., ::-1].copy()


def _crops(name: str, count: int, height: int, width: int) -> Iterator[Tensor]:
    rng = np.random.default_rng(0)
    photo = read(name)
    factor = max(0.5, (height + 1) / photo.shape[0], (width + 1) / photo.shape[1])
    photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    for index in range(count):
        top, left = rng.integers(0, photo.shape[0] - height), rng.integers(0, photo.shape[1] - width)
        crop = _degraded(photo[top : top + height, left : left + width], index % len(_NOISE_SIGMAS), rng)
        yield torch.from_numpy(crop).permute(2, 0, 1).unsqueeze(0).float().div(255)


def _degraded(crop: np.ndarray, kind: int, rng: np.random.Generator) -> np.ndarray:
    if _BLUR_SIGMAS[kind]:
        crop = cv2.GaussianBlur(crop, (0, 0), _BLUR_SIGMAS[kind])
    noisy = crop + rng.normal(0, _NOISE_SIGMAS[kind], crop.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)
