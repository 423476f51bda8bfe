"""A server with a chain that costs nothing, and visitors of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra web")

import uvicorn
from starlette.testclient import TestClient

from pipeline.web.app import WebPage
from pipeline.web.chains import Chains
from pipeline.web.gate import Gate
from pipeline.web.jobs import Job
from pipeline.web.work import Worker

CHAIN = """\
# Sharper: sharpens, then makes it larger. No network.
stages:
  - stage: unsharp_mask
    amount: 0.8
  - stage: bicubic
    scale: 2
"""


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    path = tmp_path / "sharper.yaml"
    path.write_text(CHAIN)
    return path


@pytest.fixture
def page(tmp_path: Path, chain_file: Path) -> Iterator[WebPage]:
    made = WebPage(Chains([chain_file]), tmp_path / "visitors", 1_000_000, "cpu")
    yield made
    made.queue.close()


@pytest.fixture
def visit(page: WebPage) -> Callable[..., TestClient]:
    """Return a visitor with cookies of their own; several share the server."""

    def call(**options: Any) -> TestClient:
        return TestClient(Gate(page.app, page.sessions, **options), base_url="http://127.0.0.1:7860")

    return call


@pytest.fixture
def visitor(visit: Callable[..., TestClient]) -> TestClient:
    return visit()


@pytest.fixture
def address(page: WebPage) -> Iterator[str]:
    """Serve the page at a free port."""
    gate = Gate(page.app, page.sessions)
    config = uvicorn.Config(
        gate, host="127.0.0.1", port=0, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make restoring last until it is cancelled; return an event for its begin."""
    begun, never = threading.Event(), threading.Event()

    def restore(self: Worker, job: Job, config: Any) -> None:
        begun.set()
        while not never.wait(0.005):
            job.watch(0.5)

    monkeypatch.setattr(Worker, "_restore", restore)
    return begun


def photo(height: int = 24, width: int = 32, suffix: str = ".png", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def upload(visitor: TestClient, name: str, content: bytes) -> dict[str, Any]:
    """Send a file; return its key and why it is refused."""
    answer = visitor.post("/uploads", files={"files": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()[0]


def start(visitor: TestClient, key: str, kind: str = "restore", **settings: Any) -> str:
    """Start a job; return its key."""
    answer = visitor.post(f"/uploads/{key}/jobs", json={"kind": kind, "settings": settings})
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what a condition returns as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("did not happen in time")


def restored(page: WebPage, visitor: TestClient, name: str, content: bytes, **settings: Any) -> str:
    """Send a file and restore it; return the key of the finished job."""
    key = start(visitor, upload(visitor, name, content)["key"], **settings)
    job = next(job for session in sessions(page) if (job := session.find_job(key)))
    wait_for(lambda: not job.active)
    assert job.state == "done", job.error
    return key


def sessions(page: WebPage) -> list[Any]:
    return list(page.sessions._by_token.values())
