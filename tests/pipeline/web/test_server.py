"""The command `restorechain serve`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra web")

import uvicorn

from run_pipeline import main


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
    assert "pip install 'restorechain[web]'" in capfd.readouterr().err
