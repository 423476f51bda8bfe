"""The figures of a batch for people (a table) and for programs (CSV): each image's, and their mean."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table

from pipeline.atomic import working_path
from pipeline.batch.record import Record, Scores
from pipeline.cli.terminal import printable
from pipeline.evaluation.metrics import Metric, measured

_HEADER = (
    "All at the size of the reference, smaller pictures enlarged bicubically. PSNR in dB. Y is the luma of BT.601, "
    "as many border pixels cut as the chain enlarges (none at scale 1). SSIM: Wang et al. 2004, 11x11 Gaussian window. "
    "LPIPS: Zhang et al. 2018, AlexNet; less is better."
)


def write_csv(path: Path, judged: Sequence[Record]) -> None:
    """Write a line for each picture of each image, then the means over all images, as an image named ``mean``.

    An earlier file is replaced only when the new one is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = working_path(path, ".partial")
    with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        columns = _columns(judged)
        writer.writerow(["image", "picture", *columns])
        for image, pictures in _sections(judged):
            writer.writerows([image, name, *(figures[column] for column in columns)] for name, figures in pictures)
    temporary.replace(path)


def as_table(judged: Sequence[Record]) -> Table:
    """Return the same lines as a table; the means, which matter most, stand last."""
    table = Table(title=_HEADER, title_style="", title_justify="left")
    for title in ("image", "picture"):
        table.add_column(title, overflow="fold")
    columns = _columns(judged)
    for metric in columns.values():
        table.add_column(metric.title, overflow="fold", justify="right")
    for image, pictures in _sections(judged):
        for index, (name, figures) in enumerate(pictures):
            numbers = (f"{figures[column]:.{metric.digits}f}" for column, metric in columns.items())
            table.add_row("" if index else printable(image), name, *numbers)
        table.add_section()
    return table


def mean_figures(judged: Sequence[Record]) -> dict[str, Scores]:
    """Return each picture's means over all images; empty if there is none."""
    every = [record.quality.figures for record in judged if record.quality is not None]
    return {name: _mean([figures[name] for figures in every]) for name in every[0]} if every else {}


def _columns(judged: Sequence[Record]) -> dict[str, Metric]:
    """Return what all pictures were judged by."""
    return measured(figures for record in judged if record.quality for figures in record.quality.figures.values())


def _sections(judged: Sequence[Record]) -> Iterator[tuple[str, list[tuple[str, Scores]]]]:
    """Yield each image's pictures with their figures, and the means over all images at the end."""
    for record in judged:
        if record.quality is not None:
            yield record.input, list(record.quality.figures.items())
    if judged:
        yield "mean", list(mean_figures(judged).items())


def _mean(figures: Sequence[Scores]) -> Scores:
    return {column: round(fmean(one[column] for one in figures), 6) for column in measured(figures)}
