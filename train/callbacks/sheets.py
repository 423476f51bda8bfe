"""Sheets of images side by side, with their PSNR: degraded, restored, clean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from pipeline.evaluation.metrics import psnr_rgb

Row = Mapping[str, Tensor]

_WHITE, _GRAY = (255, 255, 255), (60, 60, 60)
_GAP, _CAPTION, _SMALLEST_CELL = 10, 22, 180


def write_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Write images side by side as a PNG, with their PSNR against the last of the row.

    Args:
        path: The PNG; folders above it are made.
        rows: Images by name, such as degraded, restored, clean; each ``(1, 3, H, W)``, any device; a smaller one is
            shown with larger pixels.
    """
    rows = [{name: image.detach().float().clamp(0, 1).cpu() for name, image in row.items()} for row in rows]
    widest = max(image.shape[-1] for row in rows for image in row.values())
    factor = math.ceil(_SMALLEST_CELL / widest)
    cells = [_captioned(row, widest * factor, factor) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = cv2.copyMakeBorder(np.vstack(cells), 0, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=_WHITE)
    # OpenCV itself would not report that it cannot write, as on Windows for names beyond ASCII.
    path.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


def _captioned(row: Row, width: int, factor: int) -> np.ndarray:
    """Lay images side by side in cells of ``width`` pixels, each with its caption below."""
    clean = list(row.values())[-1]
    size = (clean.shape[-1] * factor, clean.shape[-2] * factor)
    cells = []
    for name, image in row.items():
        shown = cv2.resize(_to_pixels(image), size, interpolation=cv2.INTER_NEAREST)
        cell = np.full((_GAP + shown.shape[0] + _CAPTION, _GAP + width, 3), 255, np.uint8)
        cell[_GAP:-_CAPTION, _GAP : _GAP + shown.shape[1]] = shown
        compared = image is not clean and image.shape == clean.shape
        caption = f"{name}  {psnr_rgb(image, clean):.2f} dB" if compared else name
        baseline = (_GAP, _GAP + shown.shape[0] + 15)
        cv2.putText(cell, caption, baseline, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _GRAY, 1, cv2.LINE_AA)
        cells.append(cell)
    return np.hstack(cells)


def _to_pixels(image: Tensor) -> np.ndarray:
    """Turn ``(1, 3, H, W)`` RGB in ``[0, 1]`` into ``(H, W, 3)`` BGR bytes."""
    pixels = image[0].mul(255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.numpy()[..., ::-1])
