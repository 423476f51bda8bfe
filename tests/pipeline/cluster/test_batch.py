"""A batch over workers records what a batch alone records, whichever worker dies; here its workers are no processes."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.batch.batch import Batch
from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.settings import RestoreSettings
from pipeline.chain.config import ChainConfig
from pipeline.cluster.batch import ClusterBatch
from pipeline.cluster.pool import Death, Task, Worker
from pipeline.cluster.worker import RestoreWorker
from pipeline.errors import ConfigError, OutOfSpace
from stages.unsharp_mask import UnsharpMaskConfig
from stages.upscale import BicubicConfig

CHAIN = ChainConfig(stages=(UnsharpMaskConfig(), BicubicConfig(scale=2)))


class PoolInProcess:
    """Workers of this process; those that are given a deadly file count as dead."""

    def __init__(self, settings: RestoreSettings, *, deadly: dict[str, int] | None = None, workers: int = 2) -> None:
        self.restorer = RestoreWorker(settings, ".", 1)
        self.restorer.start()
        self.deadly = Counter(deadly or {})
        self.workers = [Worker(None, f"here:{number}") for number in range(workers)]
        self.together: list[set[str]] = []

    @property
    def busy(self) -> bool:
        return any(worker.tasks for worker in self.workers)

    def submit(self, worker: Worker, task: Task, *, alone: bool = False) -> None:
        assert worker.has_room
        worker.tasks.append(task)
        worker.alone = alone
        self.together.append({task.job.source.name for task in worker.tasks})

    def finished(self) -> Iterator[tuple[Task, Any]]:
        worker = next(worker for worker in self.workers if worker.tasks)
        deadly = [task for task in worker.tasks if self.deadly[task.job.source.name] > 0]
        self.deadly.subtract(task.job.source.name for task in deadly)
        done = list(worker.tasks) if deadly else worker.tasks[:1]
        worker.tasks = [task for task in worker.tasks if task not in done]
        worker.alone = False
        for task in done:
            yield task, Death("killed") if deadly else getattr(self.restorer, task.method)(*task.arguments)

    def stop(self) -> list[Task]:
        return [task for worker in self.workers for task in worker.tasks]


def paint(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), pixels)


def restore(folder: Path, output: str, *, alone: bool = False, **pool_options: Any) -> dict[str, Record]:
    """Restore ``folder/in``; return the records by input name, of which there is one for each."""
    out = folder / output
    settings = RestoreSettings(CHAIN, out, {"device": "cpu"})
    records: list[Record] = []
    with reserved(out):
        run_log = RunLog(out / "restoration.jsonl")
        pool: Any = None if alone else PoolInProcess(settings, **pool_options)
        batch = Batch(settings.make_steps(), run_log) if alone else ClusterBatch(settings.make_steps(), run_log, pool)
        try:
            batch.run(plan([str(folder / "in")], out), records.append)
        finally:
            run_log.close()
    by_name = {Path(record.input).name: record for record in records}
    assert len(by_name) == len(records)
    return by_name


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "restoration.jsonl"}


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the run log by input, without times."""
    found = [json.loads(line) for line in (folder / "restoration.jsonl").read_text().splitlines()]
    assert len({line["input"] for line in found}) == len(found)
    return {line.pop("input"): {**line, "seconds": 0, "stage_seconds": 0} for line in found}


def test_results_and_run_log_equal_those_of_one_process(tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(5)))
    (tmp_path / "in/damaged.png").write_bytes(b"no image")
    restore(tmp_path, "one", alone=True)
    restore(tmp_path, "many")
    assert content(tmp_path / "many") == content(tmp_path / "one")
    assert lines(tmp_path / "many") == lines(tmp_path / "one")


def test_a_second_run_does_what_is_missing(tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png", "b.png", "c.png")
    restore(tmp_path, "out")
    (tmp_path / "out/b.png").unlink()
    records = restore(tmp_path, "out")
    assert {name: record.status for name, record in records.items()} == {
        "a.png": "skipped",
        "b.png": "done",
        "c.png": "skipped",
    }


def test_what_dies_with_its_worker_is_tried_again(tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)))
    records = restore(tmp_path, "out", deadly={"2.png": 2})
    assert Counter(record.status for record in records.values()) == {"done": 6}
    assert len(lines(tmp_path / "out")) == 6


def test_an_input_that_kills_workers_is_given_up_and_takes_no_other_with_it(tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)), "poison.png")
    records = restore(tmp_path, "out", deadly={"poison.png": 99})
    assert records["poison.png"].status == "failed"
    assert "died 3 times (killed)" in str(records["poison.png"].error)
    assert Counter(record.status for record in records.values()) == {"done": 6, "failed": 1}
    assert len(content(tmp_path / "out")) == 6
    assert len(lines(tmp_path / "out")) == 7


def test_a_suspect_is_tried_alone(tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(8)))
    settings = RestoreSettings(CHAIN, tmp_path / "out", {"device": "cpu"})
    with reserved(tmp_path / "out"):
        pool: Any = PoolInProcess(settings, deadly={"2.png": 3})
        run_log = RunLog(tmp_path / "log")
        ClusterBatch(settings.make_steps(), run_log, pool).run(plan([str(tmp_path / "in")], tmp_path / "out"), print)
        run_log.close()
    assert pool.together.count({"2.png"}) >= 2


def test_an_interruption_leaves_finished_results_and_nothing_half_written(tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)))
    out, seen = tmp_path / "out", list[Record]()
    settings = RestoreSettings(CHAIN, out, {"device": "cpu"})

    def interrupt(record: Record) -> None:
        seen.append(record)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with reserved(out):
        pool: Any = PoolInProcess(settings)
        run_log = RunLog(out / "restoration.jsonl")
        with pytest.raises(KeyboardInterrupt):
            ClusterBatch(settings.make_steps(), run_log, pool).run(plan([str(tmp_path / "in")], out), interrupt)
        run_log.close()
    assert set(content(out)) == {Path(record.input).name for record in seen}
    assert Counter(record.status for record in restore(tmp_path, "out").values()) == {"skipped": 2, "done": 4}


@pytest.mark.parametrize("error", [ConfigError("weights: are missing"), OutOfSpace("no space left on the disk")])
def test_what_ends_a_run_of_one_process_ends_this_one(tmp_path: Path, error: Exception) -> None:
    paint(tmp_path / "in", "a.png")

    def fail() -> None:
        raise error

    settings = RestoreSettings(CHAIN, tmp_path / "out", {"device": "cpu"})
    with reserved(tmp_path / "out"):
        pool: Any = PoolInProcess(settings)
        pool.restorer._steps._make_engine = fail
        batch = ClusterBatch(settings.make_steps(), RunLog(tmp_path / "log"), pool)
        with pytest.raises(type(error)):
            batch.run(plan([str(tmp_path / "in")], tmp_path / "out"), print)


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    settings = RestoreSettings(CHAIN, tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"output: .* does not see .*elsewhere"):
        RestoreWorker(settings, ".", 1).start()
