"""Curves of a run, plotted from its CSV logs."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

Points = list[tuple[int, float]]

_LARGEST_DRAWN = 1e30
_CURVES = {
    "train/epoch_loss": "loss, mean of each epoch",
    "val/psnr": "validation PSNR, dB",
    "learning_rate": "learning rate",
}


def plot_curves(folder: Path) -> None:
    """Plot loss, validation PSNR and learning rate over the steps of a run as ``curves.png`` in its folder."""
    curves = {title: points for key, title in _CURVES.items() if (points := read_curve(folder, key))}
    if not curves:
        return
    figure = Figure(figsize=(9.6, 2.4 * len(curves)), layout="constrained")
    panels = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    for panel, (title, points) in zip(panels, curves.items(), strict=True):
        panel.plot(*zip(*_drawable(points), strict=True), marker=".")
        panel.set_ylabel(title)
        panel.grid(color="0.88")
    panels[-1].set_xlabel("optimizer steps")
    figure.savefig(folder / "curves.png", dpi=100)


def plot_together(path: Path, curves: Mapping[str, Points], x_label: str, y_label: str) -> None:
    """Plot curves in one panel.

    Args:
        path: The PNG.
        curves: Points (x, y) by name.
        x_label: Of the x axis.
        y_label: Of the y axis.
    """
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    panel = figure.subplots()
    for name, points in curves.items():
        panel.plot(*zip(*_drawable(points), strict=True), marker=".", label=name)
    panel.set(xlabel=x_label, ylabel=y_label)
    panel.grid(color="0.88")
    panel.legend(frameon=False)
    figure.savefig(path, dpi=100)


def _drawable(points: Points) -> Points:
    """Leave gaps where a run diverged: matplotlib cannot make ticks for values near the largest floats."""
    return [(x, y if abs(y) < _LARGEST_DRAWN else math.nan) for x, y in points]


def read_curve(folder: Path, key: str) -> Points:
    """Read one column of a run's CSV logs as (step, value); a resumed part replaces the steps that it repeated."""
    points: Points = []
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    for log in logs:
        with log.open(newline="") as file:
            part = [(int(row["step"]), float(row[key])) for row in csv.DictReader(file) if row.get(key)]
        points = [point for point in points if not part or point[0] < part[0][0]] + part
    return points
