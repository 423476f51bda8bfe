"""The progress that is shown while a batch runs."""

from pathlib import Path

from rich.console import Console

from pipeline.batch.job import Job
from pipeline.cli.progress import Tally, progress_bar
from pipeline.cluster.pool import Task, Worker


def test_each_worker_has_a_line_with_its_inputs() -> None:
    console = Console(force_terminal=True, width=120, record=True)
    job = Job(Path("a.png"), Path("a.png"), Path("out/a.png"), "image")
    busy, idle, starting = Worker(None, "here:1"), Worker(None, "there:2"), Worker(None)
    busy.tasks.append(Task(job, "restore", ()))
    with progress_bar(console, 3, Tally(), quiet=False) as bar:
        bar.show_workers([busy, idle, starting])
        assert [task.fields["last"] for task in bar._display.tasks] == ["", "here:1: a.png", "there:2: idle"]
        bar.show_workers([busy])
        assert [task.fields["last"] for task in bar._display.tasks] == ["", "here:1: a.png"]
