"""The benchmark for GPUs runs to its end on a CPU, so that it does on the first GPU that it meets."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    gpu_speed = importlib.import_module("gpu_speed")
    monkeypatch.setattr(gpu_speed, "ceilings", lambda device, precisions: (dict.fromkeys(precisions, 1e9), 1e9))
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    page = tmp_path / "page.md"
    options = ["-c", str(tmp_path / "chain.yaml"), "--device", "cpu", "--size", "24x16", "--batch", "2", "-n", "2"]
    monkeypatch.setattr(sys, "argv", ["gpu_speed.py", *options, "-o", str(page)])
    gpu_speed.main()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.read_text().splitlines() if line.startswith("|")]
    assert rows == ["way", "---", "plain", "eager, one frame", "eager, batch", "stage", "---", "unsharp_mask"]
