"""Run a batch with a progress bar, report its outcome and return the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline.cli.interruption import INTERRUPTED
from pipeline.cli.progress import Tally, progress_bar
from pipeline.cli.terminal import OUT, say_error
from pipeline.errors import OutOfSpace, one_line
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.batch.record import Record
    from pipeline.batch.runner import BatchRunner, Inputs
    from pipeline.cluster.batch import ClusterBatch
    from pipeline.html_report import HtmlReport


def run_batch(
    batch: BatchRunner,
    inputs: Inputs,
    total: int | None,
    html_report: HtmlReport | None,
    *,
    quiet: bool,
    detail: bool = False,
) -> int:
    """Restore all inputs, print their outcome and return the exit code.

    Args:
        batch: Restores them.
        inputs: What to do.
        total: How many they are, where that is known.
        html_report: Is written at the end.
        quiet: Print only errors.
        detail: Show what each worker of a ``ClusterBatch`` is doing.
    """
    tally = Tally()
    stopped = _restore(batch, inputs, total, tally, quiet=quiet, detail=detail)
    _print_inputs(tally, quiet=quiet)
    summarized = True
    try:
        if tally.compared:
            _print_metrics(batch.output / "metrics.csv", tally.compared, quiet=quiet)
        if html_report is not None:
            html_report.write(planned=total or tally.counts.total(), seconds=tally.seconds(), waiting=batch.waiting)
    except OSError as error:
        summarized = False
        say_error(f"the results were kept, but their scores or report could not be written: {one_line(error)}")
    if stopped is not None:
        exit_code, why = stopped
        finished = f"{tally.counts.total()}{'' if total is None else f' of {total}'}"
        say_error(f"{why} after {finished} inputs; the same command goes on with the others")
        return exit_code
    if not quiet:
        if chosen := tally.chosen():
            OUT.print(chosen)
        OUT.print(tally.summary(batch.waiting))
    differs = any(record.differs for record in tally.videos)
    return 1 if tally.problems or tally.not_compared or differs or not summarized else 0


def _restore(
    batch: BatchRunner,
    inputs: Inputs,
    total: int | None,
    tally: Tally,
    *,
    quiet: bool,
    detail: bool,
) -> tuple[int, str] | None:
    """Restore all inputs; return the exit code and the reason if the run was stopped early."""
    try:
        with progress_bar(OUT, total, tally, quiet=quiet) as bar:
            if detail:
                cast("ClusterBatch", batch).observe = bar.show_workers
            batch.run(inputs, bar.add, bar.watch)
    except KeyboardInterrupt:
        return INTERRUPTED, "interrupted"
    except OutOfSpace as error:
        return 1, f"{error}, ended"
    return None


def _print_inputs(tally: Tally, *, quiet: bool) -> None:
    """Print the errors of inputs, what results lack, and notes; the latter only if not ``quiet``."""
    for record in tally.problems:
        say_error(f"{record.status}: {record.input}: {record.error}")
    for record in tally.not_compared:
        say_error(f"not compared: {record.input}: {record.quality and record.quality.error}")
    for record in tally.videos:
        _print_video(record, quiet=quiet)
    for loss, inputs in tally.losses.items():
        say_error(f"warning: {_named(inputs)}: {loss}")
    if quiet:
        return
    for note, inputs in tally.notes.items():
        OUT.print(printable(f"note: {_named(inputs)}: {note}"))


def _named(inputs: list[str]) -> str:
    return inputs[0] + (f" and {len(inputs) - 1} more" if len(inputs) > 1 else "")


def _print_video(record: Record, *, quiet: bool) -> None:
    for text in record.differs:
        say_error(f"differs from its source: {record.input}: {text}")
    if record.flicker and not quiet:
        from pipeline.cli.verification import flicker_table

        OUT.print(flicker_table({record.input: record.flicker}), soft_wrap=False)


def _print_metrics(path: Path, compared: list[Record], *, quiet: bool) -> None:
    from pipeline.batch.score_tables import as_table, write_csv

    write_csv(path, compared)
    if not quiet:
        OUT.print(as_table(compared), soft_wrap=False)
