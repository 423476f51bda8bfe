"""A batch as the command line runs it: with a progress bar, then what became of the inputs, then the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.progress import Tally, progress_bar
from pipeline.cli.terminal import OUT, say_error
from pipeline.errors import OutOfSpace
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.batch.batch import Batch
    from pipeline.batch.plan import Job, LeftOut
    from pipeline.batch.record import Record
    from pipeline.html_report import HtmlReport


def run_batch(batch: Batch, inputs: list[Job | LeftOut], html_report: HtmlReport | None, *, quiet: bool) -> int:
    """Restore all inputs, tell what became of them and return the exit code."""
    tally = Tally()
    stopped = _restore(batch, inputs, tally, quiet=quiet)
    _tell_inputs(tally, quiet=quiet)
    if tally.judged:
        _tell_figures(batch.output / "metrics.csv", tally.judged, quiet=quiet)
    if html_report is not None:
        html_report.write(planned=len(inputs), seconds=tally.seconds(), waiting=batch.waiting)
    if stopped is not None:
        exit_code, why = stopped
        told = tally.counts.total()
        say_error(f"{why} after {told} of {len(inputs)} inputs; the same command goes on with the others")
        return exit_code
    if not quiet:
        OUT.print(tally.summary(batch.waiting))
    differs = any(record.differs for record in tally.films)
    return 1 if tally.problems or tally.unjudged or differs else 0


def _restore(batch: Batch, inputs: list[Job | LeftOut], tally: Tally, *, quiet: bool) -> tuple[int, str] | None:
    """Restore all inputs; return the exit code and the reason if that was stopped before the end."""
    try:
        with progress_bar(OUT, len(inputs), tally, quiet=quiet) as bar:
            batch.run(inputs, bar.tell, bar.watch)
    except KeyboardInterrupt:
        return 130, "interrupted"
    except OutOfSpace as error:
        return 1, f"{error}, ended"
    return None


def _tell_inputs(tally: Tally, *, quiet: bool) -> None:
    """Tell of each input what went wrong with it, and what its result does not hold."""
    for record in tally.problems:
        say_error(f"{record.status}: {record.input}: {record.error}")
    for record in tally.unjudged:
        say_error(f"not compared: {record.input}: {record.quality and record.quality.error}")
    for record in tally.films:
        _tell_film(record, quiet=quiet)
    if quiet:
        return
    for note, inputs in tally.notes.items():
        others = f" and {len(inputs) - 1} more" if len(inputs) > 1 else ""
        OUT.print(printable(f"note: {inputs[0]}{others}: {note}"))


def _tell_film(record: Record, *, quiet: bool) -> None:
    for text in record.differs:
        say_error(f"differs from its source: {record.input}: {text}")
    if record.flicker and not quiet:
        from pipeline.cli.verification import flicker_table

        OUT.print(flicker_table({record.input: record.flicker}), soft_wrap=False)


def _tell_figures(path: Path, judged: list[Record], *, quiet: bool) -> None:
    from pipeline.batch.score_tables import as_table, write_csv

    write_csv(path, judged)
    if not quiet:
        OUT.print(as_table(judged), soft_wrap=False)
