"""Progress bars of a batch, and counts for its summary."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.batch.record import Record
from pipeline.errors import suffixes_of
from pipeline.text import printable

if TYPE_CHECKING:
    from pipeline.batch.job import Job
    from pipeline.cluster.pool import Worker
    from pipeline.video.progress import VideoProgress

_ORDER = ("done", "skipped", "failed", "refused", "ignored")


class Tally:
    """Counts inputs by status, and keeps the records that are reported at the end.

    Attributes:
        problems: Inputs that could not be restored.
        compared: Inputs whose results were compared with a reference.
        not_compared: Inputs that were restored, but could not be compared.
        strengths: Strengths that were chosen for each input, by stage.
        videos: Videos that differ from their source, or whose flicker was measured.
        losses: Inputs by what their results lack.
        notes: Inputs by what was converted or guessed, and folders that are left out by why.
        ignored: Files whose suffix is of no image or video.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[Record] = []
        self.compared: list[Record] = []
        self.not_compared: list[Record] = []
        self.strengths: dict[str, list[float]] = defaultdict(list)
        self.videos: list[Record] = []
        self.losses: dict[str, list[str]] = defaultdict(list)
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
            (self.compared if record.quality.scores else self.not_compared).append(record)
        if record.status == "ignored" and record.error:
            self.notes[record.error].append(record.input)
        elif record.status == "ignored":
            self.ignored.append(Path(record.input))
        if record.differs or record.flicker:
            self.videos.append(record)
        if record.status == "done":
            for loss in record.losses:
                self.losses[loss].append(record.input)
            for note in record.notes:
                self.notes[note].append(record.input)
        if record.status == "done" and record.condition:
            for name, strength in record.strengths.items():
                self.strengths[name].append(strength)
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

    def chosen(self) -> str:
        """Return the mean strengths that were chosen, and between which they lie; empty if none were."""
        means = (
            f"{name} {fmean(strengths):.2f} ({min(strengths):.3g} to {max(strengths):.3g})"
            for name, strengths in self.strengths.items()
        )
        return f"mean strengths: {', '.join(means)}" if self.strengths else ""


class Bars:
    """A bar of all inputs, and one for the video that is being restored."""

    def __init__(self, display: Progress, total: int | None, tally: Tally) -> None:
        self._display = display
        self._tally = tally
        self._inputs = display.add_task("", total=total, unit="inputs", speed="", last="")
        self._video: TaskID | None = None
        self._video_name = ""
        self._workers: dict[str, TaskID] = {}

    def add(self, record: Record) -> None:
        """Count one finished input."""
        self._tally.add(record)
        self._display.update(self._inputs, advance=1, speed=self._tally.speed(), last=printable(record.input))

    def watch(self, job: Job, progress: VideoProgress | float) -> None:
        """Show the progress of a video: frames, frames a second, time left, and the limiting step."""
        if not isinstance(progress, float):
            self._show_video(job, progress)

    def show_workers(self, workers: Sequence[Worker]) -> None:
        """Show a line for each worker: its machine and process, and the inputs that it has been given."""
        started = {worker.name: worker for worker in workers if worker.name}
        for name in self._workers.keys() - started.keys():
            self._display.remove_task(self._workers.pop(name))
        for name, worker in started.items():
            if name not in self._workers:
                self._workers[name] = self._display.add_task(name, total=2, unit="at once", speed="", last="")
            inputs = ", ".join(printable(str(task.job.source)) for task in worker.tasks) or "idle"
            self._display.update(self._workers[name], completed=len(worker.tasks), last=f"{name}: {inputs}")

    def _show_video(self, job: Job, video: VideoProgress) -> None:
        name = printable(str(job.source))
        if self._video is None or self._video_name != name:
            self._remove_video()
            self._video_name = name
            self._video = self._display.add_task(name, unit="frames", speed="", last="")
        speed, last = f"{video.rate:.2f} fps", f"{name}, {video.limit} limits"
        self._display.update(self._video, total=video.total, completed=video.frames, speed=speed, last=last)
        if video.frames == video.total:
            self._remove_video()

    def _remove_video(self) -> None:
        if self._video is not None:
            self._display.remove_task(self._video)
            self._video = None


@contextmanager
def progress_bar(console: Console, total: int | None, tally: Tally, *, quiet: bool) -> Iterator[Bars]:
    """Show a bar with files, megapixels of input a second and time left; yield the bars."""
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
        speed_estimate_period=3600,  # a large image takes minutes on a CPU
    )
    with display:
        yield Bars(display, total, tally)
