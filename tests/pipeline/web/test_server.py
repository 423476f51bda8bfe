"""The command `restorechain serve`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from pipeline.web.sessions import GRACE
from run_pipeline import main
from stages.extras import install_hint
from tests.pipeline.web.conftest import photo, wait_for

# A whole server in the process of the tests; once, under load, it left pytest's capture of output closed.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _with_gradio() -> None:
    pytest.importorskip("gradio", reason="needs the extra web")


def serve(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["restorechain", "serve", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_address_is_printed_and_nothing_is_left(
    chain_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, Any] = {}

    def run(self: uvicorn.Server, sockets: list[socket.socket]) -> None:
        seen["address"] = sockets[0].getsockname()
        seen["gate"] = self.config.app
        sockets[0].close()

    monkeypatch.setattr(uvicorn.Server, "run", run)
    assert serve(monkeypatch, "--port", "0", "--chain", str(chain_file)) == 0
    host, port = seen["address"]
    assert host == "127.0.0.1"
    assert capfd.readouterr().out.startswith(f"http://127.0.0.1:{port} ")
    assert not seen["gate"].sessions.root.exists()
    assert "localhost" in seen["gate"].hosts


def test_a_port_that_is_taken(
    chain_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert serve(monkeypatch, "--port", port, "--chain", str(chain_file)) == 2
    assert f"--port: cannot listen at 127.0.0.1:{port}; choose another" in capfd.readouterr().err


def test_a_missing_package_is_named(
    chain_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert serve(monkeypatch, "--chain", str(chain_file)) == 2
    assert install_hint("web") in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_files_are_deleted_when_the_server_is_stopped(chain_file: Path, tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "run_pipeline.py", "serve", "--port", "0", "--chain", str(chain_file)]
    folder = tmp_path / "temporary"
    folder.mkdir()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        httpx.post(f"{address}/uploads", files={"files": ("a.png", photo())}).raise_for_status()
        assert list(folder.rglob("a.png"))
        with httpx.stream("GET", f"{address}/session/events") as events:  # an open page
            next(events.iter_lines())
            server.send_signal(number)
            assert server.wait(60) == code
    assert not list(folder.rglob("a.png"))
    assert not list(folder.glob("restorechain-*"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.timeout(600)
def test_memory_returns_when_visitors_leave() -> None:
    """Though they leave in the middle of their files; a second visit takes no more than the first."""
    command = [sys.executable, "run_pipeline.py", "serve", "--port", "0", "--chain", "configs/restore_x2_fast.yaml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        visit(address, server, photo())
        time.sleep(GRACE + 5)
        loaded = resident_mib(server)
        for _ in range(2):
            peak = visit(address, server, photo(900, 1200, ".jpg"))
            assert peak > loaded + 100
            wait_for(lambda peak=peak: resident_mib(server) < loaded + (peak - loaded) / 3, GRACE + 60)
        server.send_signal(signal.SIGINT)


def visit(address: str, server: subprocess.Popen[str], content: bytes) -> float:
    """Send three photos, and leave as soon as the first is restored; return the MiB that the server takes then."""
    with (
        httpx.Client(base_url=address, timeout=100, headers={"Origin": address}) as browser,
        browser.stream("GET", "/session/events") as events,  # an open page
    ):
        for _ in range(3):
            sent = browser.post("/uploads", files={"files": ("a.jpg", content)}).json()[0]
            browser.post(f"/uploads/{sent['key']}/jobs", json={"kind": "restore", "settings": {}}).raise_for_status()
        next(line for line in events.iter_lines() if '"state": "done"' in line)
        return resident_mib(server)


def resident_mib(server: subprocess.Popen[str]) -> float:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
