"""The command `restorechain serve`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from run_pipeline import main
from stages.extras import install_hint
from tests.pipeline.web.conftest import photo

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
