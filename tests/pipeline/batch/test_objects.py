"""Inputs and results in a storage: the same bytes as in folders; results know what they were made from."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch.batch import Batch
from pipeline.batch.object_plan import plan_objects
from pipeline.batch.object_run_log import ObjectRunLog
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.settings import RestoreSettings
from pipeline.chain.config import ChainConfig
from pipeline.errors import ConfigError
from pipeline.video.options import VideoOptions
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.cluster.test_batch import CHAIN, content, paint, restore


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    s3fs, moto = pytest.importorskip("s3fs"), pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as patch:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.get_host_and_port()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        running.stop()


@pytest.fixture
def bucket(server: Any) -> Any:
    """A storage with an empty bucket named ``photos``."""
    if server.exists("photos"):
        server.rm("photos", recursive=True)
    server.mkdir("photos")
    return server


def run(source: str, output: str, config: ChainConfig = CHAIN, **options: Any) -> dict[str, Record]:
    """Restore from and to URLs or folders; return the records by input name."""
    in_storage = "://" in output
    place = output if in_storage else Path(output)
    settings = RestoreSettings(config, place, {"device": "cpu"}, VideoOptions(), objects=True, **options)
    log: Any = ObjectRunLog(output) if in_storage else RunLog(Path(output) / "restoration.jsonl")
    records: list[Record] = []
    jobs = plan_objects([source], output, ext=None, suffix="", video=VideoOptions())
    Batch(settings.make_steps(), log).run(jobs, records.append)
    log.close()
    return {record.input.rpartition("/")[2]: record for record in records}


def statuses(records: dict[str, Record]) -> dict[str, str]:
    return {name: record.status for name, record in records.items()}


def test_the_same_bytes_as_in_folders(bucket: Any, tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png", "b.png")
    bucket.put(str(tmp_path / "in"), "photos/in/deep", recursive=True)
    bucket.pipe_file("photos/in/damaged.png", b"no image")
    bucket.pipe_file("photos/in/notes.txt", b"text")
    records = run("s3://photos/in", "s3://photos/out")
    assert statuses(records) == {"a.png": "done", "b.png": "done", "damaged.png": "failed", "notes.txt": "ignored"}
    restore(tmp_path, "out", alone=True)
    expected = content(tmp_path / "out")
    assert {name: bucket.cat_file(f"photos/out/deep/{name}") for name in ("a.png", "b.png")} == expected
    (part,) = bucket.find("photos/out/restoration.jsonl")
    assert Counter(json.loads(line)["status"] for line in bucket.cat_file(part).splitlines()) == {
        "done": 2,
        "failed": 1,
        "ignored": 1,
    }


def test_results_are_known_again_without_a_run_log(bucket: Any, tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png", "b.png")
    bucket.put(str(tmp_path / "in"), "photos/in", recursive=True)
    run("s3://photos/in", "s3://photos/out")
    bucket.rm("photos/out/restoration.jsonl", recursive=True)
    bucket.rm("photos/out/b.png")
    assert statuses(run("s3://photos/in", "s3://photos/out")) == {"a.png": "skipped", "b.png": "done"}
    mask = ChainConfig(stages=(UnsharpMaskConfig(amount=2.0),))
    assert statuses(run("s3://photos/in", "s3://photos/out", mask)) == {"a.png": "done", "b.png": "done"}


def test_what_is_not_ours_is_not_replaced(bucket: Any, tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png")
    bucket.put(str(tmp_path / "in"), "photos/in", recursive=True)
    bucket.pipe_file("photos/out/a.png", b"theirs")
    (record,) = run("s3://photos/in", "s3://photos/out").values()
    assert record.status == "refused"
    assert str(record.error).startswith("s3://photos/out/a.png is there already, and its metadata does not know")
    assert bucket.cat_file("photos/out/a.png") == b"theirs"
    assert statuses(run("s3://photos/in", "s3://photos/out", overwrite=True)) == {"a.png": "done"}


def test_two_inputs_do_not_share_a_result(bucket: Any, tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png")
    bucket.put(str(tmp_path / "in"), "photos/in", recursive=True)
    bucket.put(str(tmp_path / "in"), "photos/other", recursive=True)
    run("s3://photos/in", "s3://photos/out")
    (record,) = run("s3://photos/other", "s3://photos/out").values()
    assert record.status == "refused"
    assert "is the result of s3%3A//photos/in/a.png" in str(record.error)


def test_files_to_a_storage_and_objects_to_a_folder(bucket: Any, tmp_path: Path) -> None:
    paint(tmp_path / "in", "a.png")
    assert statuses(run(str(tmp_path / "in"), "s3://photos/out")) == {"a.png": "done"}
    assert statuses(run("s3://photos/out/a.png", str(tmp_path / "again"))) == {"a.png": "done"}
    assert (tmp_path / "again/a.png").is_file()
    assert statuses(run("s3://photos/out/a.png", str(tmp_path / "again"))) == {"a.png": "skipped"}


def test_names_do_not_depend_on_what_else_is_there(bucket: Any) -> None:
    for name in ("a.gif", "b.png", "c.mp4", ".hidden.png", "#recycle/d.png"):
        bucket.pipe_file(f"photos/in/{name}", b"x")
    jobs = plan_objects(["s3://photos/in"], "s3://photos/in/out", ext=None, suffix="_x2", video=VideoOptions())
    assert {job.target for job in jobs if not hasattr(job, "status")} == {
        "s3://photos/in/out/a.gif_x2.png",
        "s3://photos/in/out/b_x2.png",
        "s3://photos/in/out/c_x2.mp4",
    }


def test_thousands_of_keys_are_listed_page_by_page(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.storage.objects._PAGE", 2)
    for number in range(5):
        bucket.pipe_file(f"photos/in/{number}.png", b"x")
    jobs = plan_objects(["s3://photos/in"], "s3://photos/out", ext=None, suffix="", video=VideoOptions())
    assert [job.source for job in jobs] == [f"s3://photos/in/{number}.png" for number in range(5)]


def test_an_object_may_have_the_name_of_its_folder(bucket: Any) -> None:
    for key in ("in/", "in/in.png", "in.png/in.png"):
        bucket.call_s3("put_object", Bucket="photos", Key=key, Body=b"x")
    for source, expected in (("s3://photos/in", "in.png"), ("s3://photos/in.png", "in.png")):
        (job,) = plan_objects([source], "s3://photos/out", ext=None, suffix="", video=VideoOptions())
        assert (job.source, job.output) == (f"{source}/{expected}", expected)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (["s3://photos/none"], "s3://photos/none: no such object, and none below it"),
        (["s3://missing/in"], "s3://missing/in: there is no such object, or no such bucket"),
        (["s3://photos/in", "a.png"], "got 2 INPUTs of which one is a URL, expected that one alone"),
    ],
)
def test_inputs_that_cannot_be_are_refused_before_any_work(bucket: Any, inputs: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan_objects(inputs, "s3://photos/out", ext=None, suffix="", video=VideoOptions())
