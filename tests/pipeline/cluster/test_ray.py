"""With Ray itself: workers that die are replaced, one that cannot start says why, every input ends in one record."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.settings import RestoreSettings
from pipeline.cluster.batch import cluster_batch
from pipeline.cluster.ray_session import import_ray
from pipeline.errors import ConfigError
from tests.pipeline.cluster import deadly
from tests.pipeline.cluster.test_batch import CHAIN, content, lines, paint, restore

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of one machine with two processors."""
    import_ray()
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[deadly.__name__])
    options = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    running = Cluster(initialize_head=True, head_node_args=options)
    yield running.address
    running.shutdown()


def run(folder: Path, address: str, workers: int) -> dict[str, Record]:
    """Restore ``folder/in`` by workers that die; return the records by input name, of which there is one for each."""
    out = folder / "out"
    settings = deadly.DeadlySettings(CHAIN, out, {"device": "cpu"})
    records: list[Record] = []
    with (
        reserved(out),
        cluster_batch(settings, run_log := RunLog(out / "restoration.jsonl"), workers, address) as batch,
    ):
        batch.run(plan([str(folder / "in")], out), records.append)
        run_log.close()
    assert len(lines(out)) == len(records)
    return {Path(record.input).name: record for record in records}


def test_a_worker_that_dies_is_replaced(cluster: str, tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)), "once.png")
    records = run(tmp_path, cluster, 1)
    assert Counter(record.status for record in records.values()) == {"done": 7}
    restore(tmp_path, "alone", alone=True)
    assert content(tmp_path / "out") == content(tmp_path / "alone")


@pytest.mark.slow
def test_a_worker_that_cannot_start_ends_the_run(cluster: str, tmp_path: Path) -> None:
    settings = RestoreSettings(CHAIN, tmp_path / "elsewhere", {"device": "cpu"})
    with (
        pytest.raises(ConfigError, match=r"output: .* does not see .*elsewhere"),
        cluster_batch(settings, RunLog(tmp_path / "log"), 1, cluster) as batch,
    ):
        batch.run([], print)


@pytest.mark.slow
def test_an_input_that_kills_workers_is_given_up(cluster: str, tmp_path: Path) -> None:
    paint(tmp_path / "in", *(f"{number}.png" for number in range(6)), "once.png", "poison.png")
    records = run(tmp_path, cluster, 2)
    assert Counter(record.status for record in records.values()) == {"done": 7, "failed": 1}
    assert "its worker process died 3 times" in str(records["poison.png"].error)
