"""Format the scores of a batch as a table and as CSV: of each image, and their mean."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table

from pipeline.batch.record import Record
from pipeline.evaluation.metrics import Metric, measured
from pipeline.evaluation.quality import Scores
from pipeline.text import printable
from stages.atomic import written_whole

_HEADER = (
    "All at the size of the reference, smaller images upscaled bicubically. PSNR in dB. Y is the luma of BT.601, "
    "cropped by as many border pixels as the chain's scale (none at scale 1). SSIM: Wang et al. 2004, 11x11 Gaussian "
    "window. LPIPS: Zhang et al. 2018, AlexNet; lower is better."
)


def write_csv(path: Path, compared: Sequence[Record]) -> None:
    """Write a row for each variant of each image, then the means over all images, as an image named ``mean``.

    An earlier file is replaced only when the new one is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        columns = _columns(compared)
        writer.writerow(["image", "variant", *columns])
        for image, variants in _sections(compared):
            writer.writerows([image, name, *(scores[column] for column in columns)] for name, scores in variants)


def as_table(compared: Sequence[Record]) -> Table:
    """Return the same rows as a table; the means, which matter most, stand last."""
    table = Table(title=_HEADER, title_style="", title_justify="left")
    for title in ("image", "variant"):
        table.add_column(title, overflow="fold")
    columns = _columns(compared)
    for metric in columns.values():
        table.add_column(metric.title, overflow="fold", justify="right")
    for image, variants in _sections(compared):
        for index, (name, scores) in enumerate(variants):
            numbers = (f"{scores[column]:.{metric.digits}f}" for column, metric in columns.items())
            table.add_row("" if index else printable(image), name, *numbers)
        table.add_section()
    return table


def mean_scores(compared: Sequence[Record]) -> dict[str, Scores]:
    """Return the means over all images by variant; empty if there are no images."""
    every = [record.quality.scores for record in compared if record.quality is not None]
    return {name: _mean([scores[name] for scores in every]) for name in every[0]} if every else {}


def _columns(compared: Sequence[Record]) -> dict[str, Metric]:
    """Return the metrics that all variants were scored by."""
    return measured(scores for record in compared if record.quality for scores in record.quality.scores.values())


def _sections(compared: Sequence[Record]) -> Iterator[tuple[str, list[tuple[str, Scores]]]]:
    """Yield the name of each image with the scores of its variants, and the means over all images at the end."""
    for record in compared:
        if record.quality is not None:
            yield record.input, list(record.quality.scores.items())
    if compared:
        yield "mean", list(mean_scores(compared).items())


def _mean(scores: Sequence[Scores]) -> Scores:
    return {column: round(fmean(one[column] for one in scores), 6) for column in measured(scores)}
