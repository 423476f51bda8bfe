"""The run log survives kills and says to the next run what is finished."""

import json
from pathlib import Path

import pytest

from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.errors import ConfigError


def done(output: str = "a.png", sha: str = "out", source: str = "in", chain: str = "chain") -> Record:
    return Record("a.png", output, "done", chain=chain, precision="fp32", input_sha256=source, output_sha256=sha)


def append(path: Path, *records: Record) -> None:
    report = RunLog(path)
    for record in records:
        report.append(record)
    report.close()


def test_one_json_line_a_record_appended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.jsonl"
    append(path, done("a.png"))
    append(path, done("bé.png"), Record("c.txt", None, "ignored"))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["output"], line["status"]) for line in lines] == [
        ("a.png", "done"),
        ("bé.png", "done"),
        (None, "ignored"),
    ]


def test_nothing_is_created_before_the_first_record(tmp_path: Path) -> None:
    RunLog(tmp_path / "report.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_finished_means_same_bytes_input_chain_and_precision(tmp_path: Path) -> None:
    append(tmp_path / "r", done())
    report = RunLog(tmp_path / "r")
    assert report.earlier("a.png").finished(done(), ("fp16", "fp32"))
    for other in (done("other"), done(sha="other"), done(source="other"), done(chain="other")):
        assert not report.earlier(other.output).finished(other, ("fp16", "fp32"))
    assert not report.earlier("a.png").finished(done(), ("fp16",))


def test_older_outputs_are_still_known_as_made_by_us(tmp_path: Path) -> None:
    append(
        tmp_path / "r",
        done(sha="first"),
        done(sha="second", chain="other"),
        Record("a.png", "a.png", "skipped"),
    )
    report = RunLog(tmp_path / "r")
    assert report.earlier("a.png").made("first")
    assert report.earlier("a.png").made("second")
    assert not report.earlier("a.png").made("third")


def test_only_what_is_done_counts(tmp_path: Path) -> None:
    append(
        tmp_path / "r",
        Record("a.png", "a.png", "failed", input_sha256="in", output_sha256="out", chain="chain"),
    )
    assert not RunLog(tmp_path / "r").earlier("a.png").made("out")


def test_a_torn_last_line_is_passed_over_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "r"
    append(path, done("a.png"))
    path.write_bytes(path.read_bytes() + done("b.png").line()[:40])
    append(path, done("c.png"))
    report = RunLog(path)
    assert [report.earlier(name).made("out") for name in ("a.png", "b.png", "c.png")] == [True, False, True]
    assert path.read_bytes().count(b"\n") == 3


def test_lines_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b'\xff\xfe\n[1]\n"x"\n{"status": "done"}\n')
    append(tmp_path / "r", done())
    assert RunLog(tmp_path / "r").earlier("a.png").made("out")


def test_a_name_that_is_not_unicode_is_found_again(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    append(tmp_path / "r", done(name))
    assert RunLog(tmp_path / "r").earlier(name).made("out")


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, expected a file"):
        RunLog(tmp_path)


def test_the_run_logs_of_shards_are_read_by_the_whole_and_by_one_another(tmp_path: Path) -> None:
    append(tmp_path / "restoration.1-of-2.jsonl", done("a.png"))
    append(tmp_path / "restoration.2-of-2.jsonl", done("b.png"))
    whole = RunLog(tmp_path / "restoration.jsonl")
    assert [whole.earlier(name).made("out") for name in ("a.png", "b.png", "c.png")] == [True, True, False]
    assert RunLog(tmp_path / "restoration.1-of-2.jsonl").earlier("b.png").made("out")
    assert not RunLog(tmp_path / "other.jsonl").earlier("a.png").made("out")
