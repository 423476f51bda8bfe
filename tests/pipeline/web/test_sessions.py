"""What a visitor sent is deleted when they leave, or an hour after their last request."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline.web.sessions
from pipeline.web.chains import Settings
from pipeline.web.jobs import Job
from pipeline.web.sessions import GRACE, LIFETIME, Session, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pipeline.web.sessions, "time", made)
    return made


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    return Sessions(tmp_path / "visitors")


def visit(sessions: Sessions) -> tuple[Session, Job]:
    """Return a session with a file and a job that waits."""
    session = sessions.find_or_start(None)
    upload = session.new_upload("a.png", "image")
    session.uploads[upload.key] = upload
    upload.path.write_bytes(b"a")
    job = Job("restore", session.token, upload.path, upload.folder / ".job", Settings(chain="x"))
    upload.replace_job(job)
    return session, job


def test_a_cookie_finds_its_session(sessions: Sessions) -> None:
    session = sessions.find_or_start(None)
    assert sessions.find_or_start(session.token) is session
    assert sessions.find_or_start("invented") is not session
    assert len(session.token) >= 32
    assert session.token not in str(session.folder)


def test_others_cannot_read_the_folder(sessions: Sessions) -> None:
    session, _ = visit(sessions)
    assert session.folder.stat().st_mode & 0o077 == 0


def test_leaving_cancels_and_deletes(sessions: Sessions, clock: Clock) -> None:
    session, job = visit(sessions)
    session.open_page()
    session.close_page()
    clock.now += GRACE / 2
    assert not sessions.sweep()
    assert sessions.is_alive(session)
    clock.now += GRACE
    assert sessions.sweep()
    assert not sessions.is_alive(session)
    assert job.state == "cancelled"
    assert not session.folder.exists()


def test_loading_the_page_again_keeps_the_job(sessions: Sessions, clock: Clock) -> None:
    session, job = visit(sessions)
    session.open_page()
    session.close_page()
    clock.now += GRACE / 2
    session.open_page()
    clock.now += 10 * GRACE
    sessions.sweep()
    assert sessions.find_or_start(session.token).find_job(job.key) is job
    assert job.active


def test_a_second_page_keeps_the_session(sessions: Sessions, clock: Clock) -> None:
    session, _ = visit(sessions)
    session.open_page()
    session.open_page()
    session.close_page()
    clock.now += 2 * GRACE
    sessions.sweep()
    assert sessions.is_alive(session)


def test_an_hour_without_a_request_ends_a_session(sessions: Sessions, clock: Clock) -> None:
    session, job = visit(sessions)
    session.open_page()
    clock.now += LIFETIME + 1
    sessions.sweep()
    assert sessions.is_alive(session)  # a job that long is worked on
    job.state = "done"
    sessions.find_or_start(session.token)
    clock.now += LIFETIME - 1
    sessions.sweep()
    assert sessions.is_alive(session)
    clock.now += 2
    sessions.sweep()
    assert not sessions.is_alive(session)
    assert not session.folder.exists()
