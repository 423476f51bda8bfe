"""Pictures of a run: a sheet of validation images (degraded, restored, clean), and its curves."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from stages.lettering import write_text

Points = list[tuple[int, float]]
Row = Mapping[str, Tensor]

_WHITE, _GREY = (255, 255, 255), (225, 225, 225)
# BGR of blue, vermilion, green, purple, orange, sky, black, yellow: told apart by the colour-blind (Okabe and Ito).
_COLOURS = (
    (178, 114, 0), (0, 94, 213), (115, 158, 0), (167, 121, 204),
    (0, 159, 230), (233, 180, 86), (0, 0, 0), (66, 228, 240),
)  # fmt: skip
_GAP, _CAPTION, _SMALLEST_CELL = 10, 22, 180
_CURVES = {
    "train/epoch_loss": "loss, mean of each epoch",
    "val/psnr": "validation PSNR, dB",
    "rate": "learning rate",
}
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP = 960, 240, 90, 30, 44


def write_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Write images side by side as a PNG, with their PSNR against the last of the row.

    Args:
        path: The PNG; folders above it are made.
        rows: Images by name, such as degraded, restored, clean; each ``(1, 3, H, W)``, any device; a smaller one is
            shown with its pixels enlarged.
    """
    widest = max(image.shape[-1] for row in rows for image in row.values())
    factor = math.ceil(_SMALLEST_CELL / widest)
    cells = [_captioned(row, widest * factor, factor) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_png(path, cv2.copyMakeBorder(np.vstack(cells), 0, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=_WHITE))


def draw_curves(folder: Path) -> None:
    """Draw loss, validation PSNR and rate over the steps of a run's CSV logs as ``curve.png`` in its folder."""
    curves = {title: points for key, title in _CURVES.items() if (points := read_curve(folder, key))}
    if not curves:
        return
    last = max(points[-1][0] for points in curves.values())
    panels = [_panel(title, {"": points}, max(last, 1)) for title, points in curves.items()]
    _write_png(folder / "curve.png", np.vstack(panels))


def draw_together(path: Path, curves: Mapping[str, Points], title: str) -> None:
    """Draw curves in one picture, each with its name at its end.

    Args:
        path: The PNG.
        curves: (place, value) by name.
        title: What the axes are.
    """
    last = max(points[-1][0] for points in curves.values())
    _write_png(path, _panel(title, curves, max(last, 1), height=540))


def read_curve(folder: Path, key: str) -> Points:
    """Read one column of a run's CSV logs as (step, value); a resumed part replaces what it went over again."""
    points: Points = []
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    for log in logs:
        with log.open(newline="") as file:
            part = [(int(row["step"]), float(row[key])) for row in csv.DictReader(file) if row.get(key)]
        points = [point for point in points if not part or point[0] < part[0][0]] + part
    return points


def _write_png(path: Path, picture: np.ndarray) -> None:
    """Write BGR bytes; OpenCV itself would not say if it cannot, as on Windows for names beyond ASCII."""
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _captioned(row: Row, width: int, factor: int) -> np.ndarray:
    """Lay images side by side in cells of ``width`` pixels, each with its caption below."""
    images = {name: _to_pixels(image) for name, image in row.items()}
    clean = list(images.values())[-1]
    cells = []
    for name, image in images.items():
        known = image is not clean and image.shape == clean.shape
        shown = cv2.resize(image, (clean.shape[1] * factor, clean.shape[0] * factor), interpolation=cv2.INTER_NEAREST)
        cell = np.full((_GAP + shown.shape[0] + _CAPTION, _GAP + width, 3), 255, np.uint8)
        cell[_GAP:-_CAPTION, _GAP : _GAP + shown.shape[1]] = shown
        caption = f"{name}  {cv2.PSNR(image, clean):.2f} dB" if known else name
        write_text(cell, caption, (_GAP, _GAP + shown.shape[0] + 15))
        cells.append(cell)
    return np.hstack(cells)


def _to_pixels(image: Tensor) -> np.ndarray:
    """Turn ``(1, 3, H, W)`` RGB into ``(H, W, 3)`` BGR bytes."""
    pixels = image[0].detach().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy()[..., ::-1])


@dataclass(frozen=True)
class _Axes:
    """Where steps from 0 to ``last_step``, and values from ``low`` to ``high``, lie in a panel; sizes in pixels."""

    last_step: int
    low: float
    high: float
    width: int
    height: int

    def place(self, step: float, value: float) -> tuple[int, int]:
        """Return column and row; values beyond the limits lie on them."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return _LEFT + round(self.width * step / self.last_step), _TOP + round(self.height * (1 - share))


def _panel(title: str, curves: Mapping[str, Points], last_step: int, height: int = _PANEL) -> np.ndarray:
    """Draw curves with their names, if they have any, and a grid behind them."""
    panel = np.full((height, _WIDTH, 3), 255, np.uint8)
    names = 110 if any(curves) else 0
    axes = _Axes(last_step, *_limits(curves), _WIDTH - _LEFT - _RIGHT - names, height - 2 * _TOP)
    _draw_grid(panel, axes)
    write_text(panel, title, (_LEFT, _TOP - 12), size=0.5)
    for colour, (name, points) in zip(cycle(_COLOURS), curves.items(), strict=False):
        line = np.array([axes.place(step, value) for step, value in points], np.int32)
        thickness = 2 if len(line) < 100 else 1
        cv2.polylines(panel, [line], isClosed=False, color=colour, thickness=thickness, lineType=cv2.LINE_AA)
        write_text(panel, name, (int(line[-1][0]) + 8, int(line[-1][1]) + 4), colour=colour)
    return panel


def _limits(curves: Mapping[str, Points]) -> tuple[float, float]:
    """Return the values to show; the highest 2 in 100 may lie above, so that the rest can be seen."""
    values = np.array([value for points in curves.values() for _, value in points])
    low, high = values.min(), max(np.quantile(values, 0.98), *(points[-1][1] for points in curves.values()))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _draw_grid(panel: np.ndarray, axes: _Axes) -> None:
    for tick in _ticks(axes.low, axes.high, 4):
        left, y = axes.place(0, tick)
        cv2.line(panel, (left, y), axes.place(axes.last_step, tick), _GREY)
        write_text(panel, f"{tick:.4g}", (left - 8, y + 4), before=1)
    for tick in _ticks(0, axes.last_step, 8):
        x, bottom = axes.place(tick, axes.low)
        cv2.line(panel, (x, _TOP), (x, bottom), _GREY)
        write_text(panel, f"{tick:.0f}", (x, bottom + 18), before=0.5)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from ``low`` to ``high``."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - rough))
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
