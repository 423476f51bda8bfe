"""What a batch shows while it runs and says when it ends."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.batch.record import Record
from pipeline.errors import suffixes_of
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.batch.plan import Job
    from pipeline.video.restore import VideoProgress

_ORDER = ("done", "skipped", "failed", "refused", "ignored")


class Tally:
    """Counts what became of the inputs, and keeps those that a user has to hear of.

    Attributes:
        problems: What could not be restored.
        judged: What was compared with a reference.
        unjudged: What was restored, but could not be compared.
        films: Films that differ from their source, or whose flicker was measured.
        notes: What results lack of their inputs; for each such note the inputs that it is about.
        ignored: Files that are no image or video by their name.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[Record] = []
        self.judged: list[Record] = []
        self.unjudged: list[Record] = []
        self.films: list[Record] = []
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.ignored: list[Path] = []
        self.megapixels = 0.0
        self._started = time.perf_counter()

    def add(self, record: Record) -> None:
        """Count one input."""
        self.counts[record.status] += 1
        if record.status in ("failed", "refused"):
            self.problems.append(record)
        elif record.quality is not None:
            (self.judged if record.quality.scores else self.unjudged).append(record)
        if record.status == "ignored":
            self.ignored.append(Path(record.input))
        if record.differs or record.flicker:
            self.films.append(record)
        if record.status == "done":
            for note in record.notes:
                self.notes[note].append(record.input)
        if record.status == "done" and record.input_size is not None:
            self.megapixels += record.input_size[0] * record.input_size[1] / 1e6

    def speed(self) -> str:
        """Return the megapixels of input restored in a second, over the whole run."""
        return f"{self.megapixels / self.seconds():.2f} MP/s"

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    def summary(self, waiting: float) -> str:
        """Return one line: ``14 inputs: 12 done, 2 ignored (.txt) in 8.1 s (0.43 MP/s, 3% waiting for files)``.

        Args:
            waiting: Share of the time that the device waited for reading and writing.
        """
        counts = ", ".join(f"{self.counts[status]} {status}" for status in _ORDER if self.counts[status])
        counts += f" ({suffixes_of(self.ignored)})" if self.ignored else ""
        inputs = "input" if self.counts.total() == 1 else "inputs"
        speed = f" ({self.speed()}, {waiting:.0%} waiting for files)" if self.counts["done"] else ""
        return f"{self.counts.total()} {inputs}: {counts} in {self.seconds():.1f} s{speed}"


class Bars:
    """A bar of all inputs, and one more for the film that is being restored."""

    def __init__(self, display: Progress, total: int, tally: Tally) -> None:
        self._display = display
        self._tally = tally
        self._inputs = display.add_task("", total=total, unit="inputs", speed="", last="")
        self._film: TaskID | None = None

    def tell(self, record: Record) -> None:
        """Count one input that is finished."""
        self._tally.add(record)
        self._display.update(self._inputs, advance=1, speed=self._tally.speed(), last=printable(record.input))

    def watch(self, job: Job, film: VideoProgress) -> None:
        """Show how far a film is: frames, frames a second, time left, and the step that limits."""
        name = printable(str(job.source))
        if self._film is None or self._display.tasks[-1].description != name:
            self._leave_film()
            self._film = self._display.add_task(name, unit="frames", speed="", last="")
        speed, last = f"{film.rate:.2f} fps", f"{name}, {film.limit} limits"
        self._display.update(self._film, total=film.total, completed=film.frames, speed=speed, last=last)
        if film.frames == film.total:
            self._leave_film()

    def _leave_film(self) -> None:
        if self._film is not None:
            self._display.remove_task(self._film)
            self._film = None


@contextmanager
def progress_bar(console: Console, total: int, tally: Tally, *, quiet: bool) -> Iterator[Bars]:
    """Show a bar with files, megapixels of input a second and time left; yield what to report them to."""
    display = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[last]}", markup=False),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
        speed_estimate_period=3600,  # a large picture takes minutes on a CPU
    )
    with display:
        yield Bars(display, total, tally)
