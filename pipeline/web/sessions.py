"""What belongs to each visitor: uploads and results in a random folder that only their session can read.

A session is a random token in a cookie. What is not found among a session's own uploads does not exist for it.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.condition.condition import Condition
from pipeline.web.chains import Kind
from pipeline.web.jobs import Job

LIFETIME = 3600.0  # seconds without a request until everything of a visitor is deleted
GRACE = 10.0  # seconds for a page to be loaded again, before its visitor counts as gone


@dataclass
class Upload:
    """A file that a visitor sent.

    Attributes:
        key: Names it in addresses.
        folder: Holds the file, its thumbnail and its jobs' folders.
        size: Width and height in pixels, from the header.
        condition: What was measured of it.
        error: Why it cannot be restored.
        jobs: The latest of each kind.
    """

    key: str
    name: str
    folder: Path
    kind: Kind
    size: tuple[int, int] | None = None
    condition: Condition | None = None
    error: str | None = None
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    @property
    def thumbnail(self) -> Path:
        """A small WebP of it."""
        return self.folder / ".thumbnail" / "thumbnail.webp"

    def replace_job(self, job: Job) -> None:
        """Keep a job instead of the earlier one of its kind, which is cancelled and deleted."""
        if (earlier := self.jobs.pop(job.kind, None)) is not None:
            earlier.discard()
        self.jobs[job.kind] = job

    def delete(self) -> None:
        """Cancel its jobs and delete everything of it."""
        for job in self.jobs.values():
            job.discard()
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """One visitor.

    Attributes:
        token: The secret in the visitor's cookie.
        uploads: By key, in the order in which they came.
        pages: How many open pages watch it.
    """

    def __init__(self, token: str, folder: Path) -> None:
        self.token = token
        self.folder = folder
        self.uploads: dict[str, Upload] = {}
        self.pages = 0
        self.used = time.monotonic()
        self.left: float | None = None

    def new_upload(self, name: str, kind: Kind) -> Upload:
        """Make the folder for a file, which belongs to the session once it is among ``uploads``."""
        key = secrets.token_urlsafe(12)
        upload = Upload(key, name, self.folder / key, kind)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        upload.thumbnail.parent.mkdir(parents=True)
        return upload

    def remove(self, key: str) -> None:
        """Delete an upload, if there is one."""
        if (upload := self.uploads.pop(key, None)) is not None:
            upload.delete()

    def find_job(self, key: str) -> Job | None:
        """Return one of the session's own jobs."""
        return next((job for job in self.all_jobs() if job.key == key), None)

    def all_jobs(self) -> Iterator[Job]:
        """Yield the jobs of all uploads."""
        for upload in self.uploads.values():
            yield from upload.jobs.values()

    def open_page(self) -> None:
        """Count a page that watches the session."""
        self.pages += 1
        self.left = None

    def close_page(self) -> None:
        """Count a page that was closed or is being loaded again."""
        self.pages -= 1
        self.left = time.monotonic()

    def is_over(self, now: float) -> bool:
        """Return whether the visitor left, or did nothing for too long."""
        if self.pages == 0 and self.left is not None and now - self.left > GRACE:
            return True
        return now - self.used > LIFETIME and not any(job.active for job in self.all_jobs())

    def delete(self) -> None:
        """Cancel all jobs and delete all files."""
        for key in list(self.uploads):
            self.remove(key)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All visitors of a server.

    Args:
        root: Holds a folder for each.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_token: dict[str, Session] = {}

    def find_or_start(self, token: str | None) -> Session:
        """Return the session of a cookie, or a new one for a cookie that is unknown or expired."""
        session = self._by_token.get(token or "")
        if session is None:
            session = Session(secrets.token_urlsafe(24), self.root / secrets.token_urlsafe(24))
            self._by_token[session.token] = session
        session.used = time.monotonic()
        return session

    def is_alive(self, session: Session) -> bool:
        """Return whether a session was not deleted."""
        return session.token in self._by_token

    def sweep(self) -> bool:
        """Delete the sessions that are over; return whether there were any."""
        now = time.monotonic()
        over = [session for session in list(self._by_token.values()) if session.is_over(now)]
        for session in over:
            del self._by_token[session.token]
            session.delete()
        return bool(over)

    def delete_all(self) -> None:
        """Delete everything of everyone."""
        for session in self._by_token.values():
            session.delete()
        self._by_token.clear()
        shutil.rmtree(self.root, ignore_errors=True)
