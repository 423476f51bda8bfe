"""Pictures of a run: a sheet of validation images (degraded, restored, clean), and its curves."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

Points = list[tuple[int, float]]

_WHITE, _GREY, _BLACK = (255, 255, 255), (225, 225, 225), (60, 60, 60)
_BLUE = (180, 105, 30)  # BGR
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GAP, _CAPTION, _SMALLEST_CELL = 10, 22, 180
_CURVES = {
    "train/epoch_loss": "loss, mean of each epoch",
    "val/psnr": "validation PSNR, dB",
    "rate": "learning rate",
}
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP = 960, 240, 90, 30, 44


def write_sheet(path: Path, rows: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Write (degraded, restored, clean) images as a PNG, a row for each, with PSNR captions.

    Args:
        path: The PNG; folders above it are made.
        rows: Each ``(1, 3, H, W)``, any device; a smaller degraded image is shown with its pixels enlarged.
    """
    widest = max(clean.shape[-1] for _, _, clean in rows)
    factor = math.ceil(_SMALLEST_CELL / widest)
    cells = [_captioned(row, widest * factor, factor) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.copyMakeBorder(np.vstack(cells), 0, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=_WHITE))


def draw_curves(folder: Path) -> None:
    """Draw loss, validation PSNR and rate over the steps of a run's CSV logs as ``curve.png`` in its folder."""
    curves = {title: points for key, title in _CURVES.items() if (points := read_curve(folder, key))}
    if not curves:
        return
    last = max(points[-1][0] for points in curves.values())
    panels = [_panel(title, points, max(last, 1)) for title, points in curves.items()]
    cv2.imwrite(str(folder / "curve.png"), np.vstack(panels))


def read_curve(folder: Path, key: str) -> Points:
    """Read one column of a run's CSV logs as (step, value); a resumed part replaces what it went over again."""
    points: Points = []
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    for log in logs:
        with log.open(newline="") as file:
            part = [(int(row["step"]), float(row[key])) for row in csv.DictReader(file) if row.get(key)]
        points = [point for point in points if not part or point[0] < part[0][0]] + part
    return points


def _captioned(row: tuple[Tensor, Tensor, Tensor], width: int, factor: int) -> np.ndarray:
    """Lay three images side by side in cells of ``width`` pixels, each with its caption below."""
    degraded, restored, clean = (_to_pixels(image) for image in row)
    cells = []
    for name, image in (("degraded", degraded), ("restored", restored), ("clean", clean)):
        known = image is not clean and image.shape == clean.shape
        shown = cv2.resize(image, (clean.shape[1] * factor, clean.shape[0] * factor), interpolation=cv2.INTER_NEAREST)
        cell = np.full((_GAP + shown.shape[0] + _CAPTION, _GAP + width, 3), 255, np.uint8)
        cell[_GAP:-_CAPTION, _GAP : _GAP + shown.shape[1]] = shown
        caption = f"{name}  {cv2.PSNR(image, clean):.2f} dB" if known else name
        _write(cell, caption, (_GAP, _GAP + shown.shape[0] + 15))
        cells.append(cell)
    return np.hstack(cells)


def _to_pixels(image: Tensor) -> np.ndarray:
    """Turn ``(1, 3, H, W)`` RGB into ``(H, W, 3)`` BGR bytes."""
    pixels = image[0].detach().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy()[..., ::-1])


def _panel(title: str, points: Points, last_step: int) -> np.ndarray:
    """Draw one curve with its grid; the outermost 2 in 100 values above may be cut, so that the rest can be seen."""
    panel = np.full((_PANEL, _WIDTH, 3), 255, np.uint8)
    values = np.array([value for _, value in points])
    low, high = values.min(), max(np.quantile(values, 0.98), values[-1])
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    width, height = _WIDTH - _LEFT - _RIGHT, _PANEL - 2 * _TOP

    def place(step: float, value: float) -> tuple[int, int]:
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return _LEFT + round(width * step / last_step), _TOP + round(height * (1 - share))

    for tick in _ticks(low, high, 4):
        cv2.line(panel, place(0, tick), place(last_step, tick), _GREY)
        _write(panel, f"{tick:.4g}", (_LEFT - 8, place(0, tick)[1] + 4), before=1)
    for tick in _ticks(0, last_step, 8):
        x = place(tick, low)[0]
        cv2.line(panel, (x, _TOP), (x, _TOP + height), _GREY)
        _write(panel, f"{tick:.0f}", (x, _TOP + height + 18), before=0.5)
    _write(panel, title, (_LEFT, _TOP - 12), size=0.5)
    line = np.array([place(step, value) for step, value in points], np.int32)
    cv2.polylines(
        panel, [line], isClosed=False, color=_BLUE, thickness=2 if len(line) < 100 else 1, lineType=cv2.LINE_AA
    )
    return panel


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from ``low`` to ``high``."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - rough))
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _write(image: np.ndarray, text: str, place: tuple[int, int], *, before: float = 0, size: float = 0.4) -> None:
    """Write text on a line through ``place``, with a share of its width ``before`` it."""
    (width, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    cv2.putText(image, text, (place[0] - round(before * width), place[1]), _FONT, size, _BLACK, 1, cv2.LINE_AA)
