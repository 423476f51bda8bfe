"""The queue: visitors in turn, a place in it, a limit, and a cancel that frees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pipeline.web.jobs
from pipeline.web.chains import Settings
from pipeline.web.jobs import Job, JobQueue, QueueFull
from tests.pipeline.web.conftest import wait_for


class Work:
    """Work that goes on until it is let go, and then fails if it is asked to."""

    def __init__(self) -> None:
        self.done: list[Job] = []
        self.may_end = threading.Event()
        self.failing = False

    def __call__(self, job: Job) -> None:
        job.folder.mkdir()
        job.watch(0.5)
        while not self.may_end.wait(0.005):
            job.watch(0.5)
        if self.failing:
            raise ValueError("broken")
        self.done.append(job)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def queue(work: Work) -> Iterator[JobQueue]:
    made = JobQueue(work)
    yield made
    made.close()


@pytest.fixture
def new_job(tmp_path: Path) -> Any:
    def make(visitor: str = "ann") -> Job:
        job = Job("restore", visitor, tmp_path / "a.png", tmp_path, Settings(chain="x"))
        job.folder = tmp_path / job.key
        return job

    return make


def test_visitors_are_served_in_turn(queue: JobQueue, work: Work, new_job: Any) -> None:
    jobs = {name: new_job(name[:3]) for name in ("ann 1", "ann 2", "ann 3", "bob 1", "eve 1", "bob 2")}
    for job in jobs.values():
        queue.add(job)
    wait_for(lambda: jobs["ann 1"].state == "running")
    assert {name: queue.place(job) for name, job in jobs.items()} == {
        "ann 1": 0, "bob 1": 1, "eve 1": 2, "ann 2": 3, "bob 2": 4, "ann 3": 5,
    }  # fmt: skip
    work.may_end.set()
    wait_for(lambda: not any(job.active for job in jobs.values()))
    assert [job.visitor for job in work.done] == ["ann", "bob", "eve", "ann", "bob", "ann"]


def test_a_cancelled_job_lets_the_next_begin(queue: JobQueue, new_job: Any) -> None:
    running, waiting, last = new_job(), new_job(), new_job()
    for job in (running, waiting, last):
        queue.add(job)
    wait_for(lambda: running.state == "running")
    waiting.discard()
    assert (waiting.state, queue.place(last)) == ("cancelled", 1)
    running.discard()
    wait_for(lambda: last.state == "running")
    assert running.state == "cancelled"
    assert not running.folder.exists()


def test_an_error_ends_one_job_only(queue: JobQueue, work: Work, new_job: Any) -> None:
    work.failing = True
    work.may_end.set()
    failing = new_job()
    queue.add(failing)
    wait_for(lambda: not failing.active)
    assert (failing.state, failing.error) == ("failed", "ValueError: broken")
    work.failing = False
    queue.add(following := new_job())
    wait_for(lambda: following.state == "done")


def test_the_queue_has_an_end(queue: JobQueue, new_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.web.jobs, "LONGEST_QUEUE", 2)
    running = new_job()
    queue.add(running)
    wait_for(lambda: running.state == "running")
    queue.add(new_job())
    queue.add(new_job())
    with pytest.raises(QueueFull, match="2 files are waiting already"):
        queue.add(new_job())


def test_closing_cancels_what_runs(work: Work, new_job: Any) -> None:
    queue = JobQueue(work)
    queue.add(running := new_job())
    queue.add(waiting := new_job())
    wait_for(lambda: running.state == "running")
    queue.close()
    assert (running.state, work.done, waiting.cancelled) == ("cancelled", [], True)


def test_what_can_wait_is_done_between_jobs(work: Work, new_job: Any) -> None:
    begun, may_end, second = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        may_end.wait(10)
        raise ValueError("is of no account")

    queue = JobQueue(work, [first, second.set])
    begun.wait(10)
    queue.add(job := new_job())
    may_end.set()
    wait_for(lambda: job.state == "running")
    assert not second.is_set()
    work.may_end.set()
    assert second.wait(10)
    queue.close()


def test_memory_is_given_back_when_the_last_job_is_done(work: Work, new_job: Any) -> None:
    rested: list[int] = []
    queue = JobQueue(work, rest=lambda: rested.append(len(work.done)))
    for _ in range(3):
        queue.add(new_job())
    work.may_end.set()
    wait_for(lambda: rested[-1:] == [3])
    queue.close()
    assert set(rested) <= {0, 3}, "not while jobs wait"


def test_memory_is_given_back_though_waiting_jobs_were_cancelled(work: Work, new_job: Any) -> None:
    rested: list[str] = []
    queue = JobQueue(work, rest=lambda: rested.append(running.state))
    running, waiting = new_job(), new_job()
    queue.add(running)
    wait_for(lambda: running.state == "running")
    queue.add(waiting)
    waiting.discard()
    running.discard()
    wait_for(lambda: rested[-1:] == ["cancelled"])
    queue.close()


def test_memory_is_given_back_on_request_when_no_job_waits(work: Work, new_job: Any) -> None:
    rested: list[int] = []
    queue = JobQueue(work, rest=lambda: rested.append(len(work.done)))
    wait_for(lambda: rested == [0])
    queue.rest()
    wait_for(lambda: rested == [0, 0])
    queue.add(job := new_job())
    wait_for(lambda: job.state == "running")
    queue.rest()
    work.may_end.set()
    wait_for(lambda: rested == [0, 0, 1])
    queue.close()


def test_the_time_left_follows_from_what_was_done(new_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.web.jobs.time, "monotonic", lambda: 130.0)
    job = new_job()
    assert job.seconds_left is None
    job.state, job.started, job.share = "running", 100.0, 0.25
    assert job.seconds_left == 90.0
