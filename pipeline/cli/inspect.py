"""`restorechain inspect`: noise, blur, JPEG quality and aliasing of images and videos, without restoring them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from pipeline.cli import options
from pipeline.cli.terminal import OUT, say_error
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.batch.plan import Job
    from pipeline.condition.condition import Condition

_NO_OUTPUT = Path(".inspected")
_TITLES = ("noise", "in colour", "blur px", "least px", "JPEG", "aliasing")


def inspect(
    inputs: options.Inputs,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.csv", help="Also write the table there.")
    ] = None,
) -> None:
    """Measure noise, blur, JPEG quality and aliasing.

    Of images, and of the first frame of videos; nothing is restored.
    """
    from pipeline.batch.plan import Job, plan
    from pipeline.errors import RestorationError

    measured: dict[str, Condition] = {}
    failed = False
    for entry in [entry for text in inputs for entry in plan([text], _NO_OUTPUT)]:
        try:
            if isinstance(entry, Job):
                measured[str(entry.source)] = _measure(entry)
            elif entry.status != "ignored":
                raise RestorationError(entry.error)
        except RestorationError as error:
            say_error(f"failed: {entry.source}: {error}")
            failed = True
    OUT.print(_table(measured), soft_wrap=False)
    if output is not None:
        _write_csv(output, measured)
    raise typer.Exit(1 if failed else 0)


def _measure(job: Job) -> Condition:
    from pipeline.alpha import visible_pixels
    from pipeline.engine.condition import measure_image
    from pipeline.images import read_image

    if job.kind == "image":
        image = read_image(job.source)
        return measure_image(visible_pixels(image), image.luma_table)

    from pipeline.video.sources import measure_first_frame

    return measure_first_frame(job.source)


def _table(measured: Mapping[str, Condition]) -> Table:
    table = Table(Column(overflow="fold"), *(Column(title, justify="right") for title in _TITLES))
    for name, condition in measured.items():
        table.add_row(printable(name), *_cells(condition))
    return table


def _cells(condition: Condition) -> Sequence[str]:
    numbers = condition.noise, condition.colour_noise, condition.blur, condition.least_blur
    jpeg = str(condition.jpeg) if condition.was_jpeg else "-"
    return *(f"{number:.1f}" for number in numbers), jpeg, f"{condition.aliasing:.2f}"


def _write_csv(path: Path, measured: Mapping[str, Condition]) -> None:
    from pipeline.condition.condition import Condition
    from stages.atomic import written_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["file", *(field.name for field in fields(Condition))])
        writer.writerows([name, *condition.rounded().values()] for name, condition in measured.items())
