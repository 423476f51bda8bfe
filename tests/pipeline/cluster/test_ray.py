"""With Ray itself: workers that die are replaced, and every input ends in one record."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.cluster.batch import cluster_batch
from tests.pipeline.cluster import deadly
from tests.pipeline.cluster.test_batch import CHAIN, content, lines, paint, restore


@pytest.mark.timeout(300)
def test_workers_die_and_the_rest_goes_on(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)), "once.png", "poison.png")
    ray.cloudpickle.register_pickle_by_value(sys.modules[deadly.__name__])
    out = tmp_path / "out"
    settings = deadly.DeadlySettings(CHAIN, out, {"device": "cpu"})
    records: list[Record] = []
    with reserved(out), cluster_batch(settings, run_log := RunLog(out / "restoration.jsonl"), 2, None) as batch:
        batch.run(plan([str(tmp_path / "in")], out), records.append)
        run_log.close()
    assert Counter(record.status for record in records) == {"done": 7, "failed": 1}
    assert "poison.png" in next(record.input for record in records if record.status == "failed")
    assert len(lines(out)) == 8
    (tmp_path / "in/poison.png").unlink()
    restore(tmp_path, "alone", alone=True)
    assert content(out) == content(tmp_path / "alone")
