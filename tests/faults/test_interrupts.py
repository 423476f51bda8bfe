"""Ctrl-C ends a run within a tile and twice at once; two runs never write into one folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import ROOT, Worker
from tests.faults.outcome import leftovers
from tests.pipeline.images.samples import photo, saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

_RESTORE = ("in", "-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32", "--tile", "64", "--quiet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a chain that takes its time and an image of many tiles."""
    (tmp_path / "chain.yaml").write_text("stages:\n  - {stage: richardson_lucy, sigma: 2, iterations: 5}\n")
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        saved(tmp_path / "in" / name, photo(512, 512, 3))
    return tmp_path


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A process with all imports."""
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.parametrize("again", [None, 0.02], ids=["once", "twice"])
def test_control_c(folder: Path, worker: Worker, campaign: Campaign, again: float | None) -> None:
    random, stopping = Random(campaign.seed), list[float]()
    whole = worker.run_and_stop(*_RESTORE, folder=folder, after=3600, by=signal.SIGINT)
    assert whole.code == 0, whole.output
    tile = whole.seconds / (2 * (512 // 64) ** 2)
    for _ in range(campaign.count(10)):
        after = random.uniform(0.1, 0.9) * whole.seconds
        ended = worker.run_and_stop(*_RESTORE, "--overwrite", folder=folder, after=after, by=signal.SIGINT, again=again)
        assert ended.code in (130, -signal.SIGINT), ended.output
        assert ended.stopping is not None
        assert "Traceback" not in ended.output
        assert again is not None or [name for name in leftovers(folder / "out") if name != "a.png"] == []
        stopping.append(ended.stopping)
    campaign.report(
        f"Ctrl-C {'once' if again is None else 'twice'}",
        f"{len(stopping)} times, ended within {max(stopping):.2f} s; the run takes {whole.seconds:.0f} s, "
        f"a tile about {tile:.2f} s",
    )
    assert max(stopping) < whole.seconds / 4


def test_two_runs_into_one_folder(folder: Path, campaign: Campaign) -> None:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *_RESTORE]
    runs = []
    for _ in range(2):
        runs.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True))
        while not runs[0].poll() and not (folder / "out/.restoring.lock").exists():
            time.sleep(0.01)
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 2]
    assert "another run is writing to out" in errors[1]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "b.png", "restoration.jsonl"]
    campaign.report("two runs into one folder", "the second is refused, the first ends as alone")
