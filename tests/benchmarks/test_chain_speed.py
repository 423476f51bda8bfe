"""The benchmark of a chain on one frame keeps what it has measured so far."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_page_is_there_after_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    chain_speed = importlib.import_module("chain_speed")

    def interrupted(*_: object) -> Iterator[list[tuple[str, ...]]]:
        yield [("plain", "3500.0")]
        raise KeyboardInterrupt

    monkeypatch.setattr(chain_speed, "races", lambda options: {"restore_x2": {}})
    monkeypatch.setattr(chain_speed, "race", interrupted)
    monkeypatch.setattr(chain_speed, "find_spec", lambda package: True)
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["chain_speed.py", "-o", str(page)])
    with pytest.raises(KeyboardInterrupt):
        chain_speed.main()
    assert "| way, 1 run | median ms |" in page.read_text()
    assert "| plain | 3500.0 |" in page.read_text()
