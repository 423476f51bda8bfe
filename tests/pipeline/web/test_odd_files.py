"""Odd files: each is restored or refused in words, the server stays up, and memory returns."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipeline.web.app import WebPage
from pipeline.web.chains import Chains
from tests.pipeline.web.conftest import sessions, start, upload, wait_for

pytestmark = pytest.mark.slow

_MAY_GROW = 150  # MiB; caches of libvips and the allocator


@pytest.fixture
def page(tmp_path: Path, chain_file: Path) -> Iterator[WebPage]:
    made = WebPage(Chains([chain_file]), tmp_path / "visitors", 50_000_000, "cpu")
    yield made
    made.queue.close()


def memory() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def outcomes(page: WebPage, visitor: TestClient, files: list[Path]) -> dict[str, str | None]:
    """Send and restore files; return why each was refused, None for those that were restored."""
    found: dict[str, str | None] = {}
    for path in files:
        sent = upload(visitor, path.name, path.read_bytes())
        found[path.name] = sent["error"]
        if sent["error"] is None:
            key = start(visitor, sent["key"])
            job = next(job for session in sessions(page) if (job := session.find_job(key)))
            wait_for(lambda job=job: not job.active, seconds=100)
            found[path.name] = job.error
            assert (job.state == "done") == (job.error is None)
            assert visitor.get(f"/jobs/{key}/file").status_code == (200 if job.error is None else 404)
        visitor.delete(f"/uploads/{sent['key']}")
    return found


@pytest.mark.timeout(600)
def test_odd_files_are_restored_or_refused_in_words(page: WebPage, visitor: TestClient, shared_data: Path) -> None:
    files = sorted((shared_data / "odd").iterdir())
    assert len(files) >= 50
    first = outcomes(page, visitor, files)
    before = memory()
    assert outcomes(page, visitor, files) == first
    assert memory() - before < _MAY_GROW
    assert visitor.get("/").status_code == 200
    for name, why in first.items():
        if why is not None:
            assert len(why) > 10, name
            assert "Error" not in why, name
            assert str(page.sessions.root) not in why, name
    assert sum(why is None for why in first.values()) >= 30
    (session,) = sessions(page)
    assert list(session.folder.iterdir()) == []
