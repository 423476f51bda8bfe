"""A batch goes on past bad files, skips what is finished and leaves nothing half-done, whenever it is killed."""

import errno
import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.batch.batch import Batch
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.video_jobs import VideoJobs
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError, OutOfSpace
from pipeline.hashing import sha256_of
from pipeline.video.options import VideoOptions
from stages.blind_deconvolution import BlindDeconvolutionConfig, disc_kernel
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.kernel_files import read_kernel
from stages.unsharp_mask import UnsharpMaskConfig
from stages.weights import Card, save_weights
from tests.pipeline.video import clips

MASK = ChainConfig(stages=(UnsharpMaskConfig(),))
TWICE = ChainConfig(stages=(EDSRConfig(width=2, depth=1, strength=0), UnsharpMaskConfig()))


UNKNOWN = "the suffix of an image or video that can be read"


def paint(path: Path, *, seed: int = 0, channels: int = 3, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (16, 24, channels), dtype=dtype)
    cv2.imwrite(str(path), pixels)
    return path


def make_engine(config: ChainConfig, precision: str = "auto") -> Engine:
    return Engine(Chain.build(config), device="cpu", precision=precision)


def restore(
    folder: Path,
    config: ChainConfig = MASK,
    *,
    engine: Callable[[], Any] | None = None,
    overwrite: bool = False,
    save_stages: bool = False,
    ext: str | None = None,
    precision: str = "auto",
    videos: VideoJobs | None = None,
    strict: bool = False,
) -> dict[str, Record]:
    """Restore ``folder/in`` to ``folder/out``; return the records, by input name."""
    jobs = plan([str(folder / "in")], folder / "out", ext=ext)
    report = RunLog(folder / "out" / "restoration.jsonl")
    steps = JobSteps(
        config,
        folder / "out",
        engine or (lambda: make_engine(config, precision)),
        {"image": ImageJobs(config.names if save_stages else ()), **({"video": videos} if videos else {})},
        precision=precision,
        overwrite=overwrite,
        strict=strict,
    )
    records: list[Record] = []
    try:
        Batch(steps, report).run(jobs, records.append)
    finally:
        report.close()
    return {Path(record.input).name: record for record in records}


def statuses(records: dict[str, Record]) -> dict[str, str]:
    return {name: record.status for name, record in records.items()}


def no_engine() -> Any:
    raise AssertionError("nothing is to be computed, so no network is to be built")


def files(folder: Path) -> list[str]:
    """All files below a folder, and folders that are empty."""
    found = [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_the_run_log_says_everything(tmp_path: Path) -> None:
    source = paint(tmp_path / "in/deep/a.png")
    restore(tmp_path, TWICE)
    (line,) = (tmp_path / "out/restoration.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record.pop("seconds") >= 0
    assert record.pop("stage_seconds").keys() == {"edsr", "unsharp_mask"}
    assert record == {
        "input": str(source),
        "output": "deep/a.png",
        "status": "done",
        "error": None,
        "reason": None,
        "notes": [],
        "losses": [],
        "noise_levels": {},
        "blurs": {},
        "condition": {},
        "strengths": {"edsr": 0.0, "unsharp_mask": 1.0},
        "tile": 0,
        "precision": "fp32",
        "device": "cpu",
        "backends": {"edsr": "torch", "unsharp_mask": "torch"},
        "chain": TWICE.fingerprint(),
        "weights": {},
        "origins": {},
        "fp32_retries": 0,
        "memory_retries": 0,
        "input_sha256": sha256_of(source),
        "output_sha256": sha256_of(tmp_path / "out/deep/a.png"),
        "input_size": [24, 16],
        "output_size": [48, 32],
        "quality": None,
        "frames": None,
        "waiting": {},
        "differs": [],
        "flicker": {},
    }


def test_only_results_and_the_report_are_left(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    assert files(tmp_path / "out") == ["a.png", "restoration.jsonl"]


def test_a_second_run_skips_and_builds_no_network(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    paint(tmp_path / "in/deep/b.jpg")
    restore(tmp_path)
    assert statuses(restore(tmp_path, engine=no_engine)) == {"a.png": "skipped", "b.jpg": "skipped"}
    assert statuses(restore(tmp_path, engine=no_engine)) == {"a.png": "skipped", "b.jpg": "skipped"}


def test_the_folder_may_be_moved_with_its_report(tmp_path: Path) -> None:
    paint(tmp_path / "here/in/a.png")
    restore(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert statuses(restore(tmp_path / "there", engine=no_engine)) == {"a.png": "skipped"}


def test_a_changed_input_is_restored_anew(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    before = restore(tmp_path)["a.png"].output_sha256
    paint(tmp_path / "in/a.png", seed=1)
    after = restore(tmp_path)["a.png"]
    assert (after.status, sha256_of(tmp_path / "out/a.png")) == ("done", after.output_sha256)
    assert after.output_sha256 != before


def test_what_was_finished_less_exactly_is_restored_anew(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path, precision="bf16")
    assert statuses(restore(tmp_path, precision="bf16", engine=no_engine)) == {"a.png": "skipped"}
    assert statuses(restore(tmp_path)) == {"a.png": "done"}
    for precision in ("auto", "fp32", "bf16", "int8"):
        assert statuses(restore(tmp_path, precision=precision, engine=no_engine)) == {"a.png": "skipped"}


def test_names_that_the_file_system_cannot_distinguish_lose_nothing(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    first = paint(tmp_path / "first.png", seed=1).read_bytes()

    def engine() -> Engine:  # made when the target has been looked at
        (tmp_path / "out").mkdir()
        (tmp_path / "out/a.png").write_bytes(first)
        return make_engine(MASK)

    record = restore(tmp_path, engine=engine)["a.png"]
    assert (record.status, "upper and lower case" in str(record.error)) == ("refused", True)
    assert (tmp_path / "out/a.png").read_bytes() == first


def test_the_longest_names_are_restored(tmp_path: Path) -> None:
    name = f"{'x' * 251}.png"
    paint(tmp_path / "in" / name)
    assert statuses(restore(tmp_path)) == {name: "done"}
    assert files(tmp_path / "out") == ["restoration.jsonl", name]


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    paint(tmp_path / "in/a.png")
    paint(tmp_path / "in/b.png")
    with monkeypatch.context() as patch:
        patch.setattr("stages.atomic.os.fsync", fail)
        with pytest.raises(OutOfSpace, match="no space left on the disk"):
            restore(tmp_path)
    assert files(tmp_path / "out") == []
    assert statuses(restore(tmp_path)) == {"a.png": "done", "b.png": "done"}


def test_another_chain_restores_anew(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    weaker = MASK.with_strengths({"unsharp_mask": 0.5})
    assert statuses(restore(tmp_path, weaker)) == {"a.png": "done"}
    assert statuses(restore(tmp_path, weaker, engine=no_engine)) == {"a.png": "skipped"}
    assert statuses(restore(tmp_path)) == {"a.png": "done"}


def test_other_weights_restore_anew_and_are_recorded(tmp_path: Path) -> None:
    stage = DnCNNConfig(depth=3, width=4, weights=str(tmp_path / "tiny.safetensors"))
    card = Card(config={"stage": "dncnn", **stage.architecture()})
    config = ChainConfig(stages=(stage,))
    paint(tmp_path / "in/a.png")
    for _ in range(2):
        save_weights(tmp_path / "tiny.safetensors", stage.build(), card)  # random ones
        record = restore(tmp_path, config)["a.png"]
        assert record.status == "done"
        assert record.weights == {"dncnn": sha256_of(tmp_path / "tiny.safetensors")}


def test_a_file_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    foreign = paint(tmp_path / "out/a.png", seed=1)
    content = foreign.read_bytes()
    record = restore(tmp_path, engine=no_engine)["a.png"]
    assert record.status == "refused"
    assert record.error == (
        f"{foreign} is there already, and {tmp_path}/out/restoration.jsonl does not know its content; "
        "move it away, or choose overwrite"
    )
    assert foreign.read_bytes() == content
    assert statuses(restore(tmp_path, overwrite=True)) == {"a.png": "done"}


def test_a_result_edited_by_hand_is_kept(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    paint(tmp_path / "out/a.png", seed=1)
    assert statuses(restore(tmp_path, engine=no_engine)) == {"a.png": "refused"}


def test_overwrite_redoes_all(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    assert statuses(restore(tmp_path, overwrite=True)) == {"a.png": "done"}


def test_bad_files_do_not_stop_the_others(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"")
    (tmp_path / "in/c.txt").write_text("notes")
    (tmp_path / "in/d.png").symlink_to(tmp_path / "nowhere")
    paint(tmp_path / "in/e.png")
    records = restore(tmp_path)
    assert statuses(records) == {
        "a.png": "done",
        "b.png": "failed",
        "c.txt": "ignored",
        "d.png": "failed",
        "e.png": "done",
    }
    assert records["d.png"].error == "is not a file, or a link to nothing"
    assert len((tmp_path / "out/restoration.jsonl").read_text().splitlines()) == 5


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="the system has no devices among its files")
@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_a_device_or_pipe_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).symlink_to("/dev/null")
    record = restore(tmp_path, videos=VideoJobs(VideoOptions()), engine=no_engine)[name]
    assert (record.status, record.error) == ("failed", "is not a file, or a link to nothing")


def test_exceptions_that_nobody_expects_end_one_file_only(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", seed=0)
    paint(tmp_path / "in/b.png", seed=1)
    engine = make_engine(MASK)
    run, calls = engine.run, iter([True, False])

    def fragile(pixels: Any, **options: Any) -> Any:
        if next(calls):
            raise ZeroDivisionError("of all\nthings")
        return run(pixels, **options)

    engine.run = fragile  # type: ignore[assignment]
    records = restore(tmp_path, engine=lambda: engine)
    assert statuses(records) == {"a.png": "failed", "b.png": "done"}
    assert records["a.png"].error == "ZeroDivisionError: of all things"


def test_a_failed_file_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"")
    assert statuses(restore(tmp_path)) == {"a.png": "failed"}
    paint(tmp_path / "in/a.png")
    assert statuses(restore(tmp_path)) == {"a.png": "done"}


def test_a_named_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    jobs = plan([str(tmp_path / "notes.txt")], tmp_path / "out")
    records: list[Record] = []
    Batch(JobSteps(MASK, tmp_path / "out", no_engine, {}), RunLog(tmp_path / "r")).run(jobs, records.append)
    assert [(record.status, record.error) for record in records] == [
        ("refused", f"'.txt' is not {UNKNOWN}; convert it to PNG, TIFF or MP4 first, if it is one")
    ]


def test_a_device_that_is_not_there_stops_everything(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    with pytest.raises(ConfigError):
        restore(tmp_path, engine=lambda: Engine(Chain.build(MASK), device="nonsense"))
    assert files(tmp_path / "out") == []


def test_alpha_is_upscaled_alongside(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", channels=4, dtype=np.uint16)
    restore(tmp_path, TWICE)
    before, after = (cv2.imread(str(tmp_path / name / "a.png"), cv2.IMREAD_UNCHANGED) for name in ("in", "out"))
    assert after.shape == (32, 48, 4)
    assert after.dtype == np.uint16
    reduced = cv2.resize(after[..., 3], (24, 16), interpolation=cv2.INTER_AREA).astype(float)
    assert np.corrcoef(reduced.ravel(), before[..., 3].ravel())[0, 1] > 0.95


def test_losses_of_reading_and_writing_are_recorded(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", dtype=np.uint16)
    lost = ("16 bit reduced to 8 bit, the most JPEG holds",)
    assert restore(tmp_path, ext="jpg")["a.png"].losses == lost
    again = restore(tmp_path, ext="jpg")["a.png"]
    assert (again.status, again.losses) == ("skipped", lost)


def test_a_loss_is_a_failure_if_that_is_chosen(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", dtype=np.uint16)
    paint(tmp_path / "in/b.png")
    records = restore(tmp_path, ext="jpg", strict=True)
    assert statuses(records) == {"a.png": "failed", "b.png": "done"}
    record = records["a.png"]
    assert record.error == "16 bit reduced to 8 bit, the most JPEG holds; the option strict makes this an error"
    assert record.reason == "lost content"
    assert files(tmp_path / "out") == ["b.jpg", "restoration.jsonl"]
    assert statuses(restore(tmp_path, ext="jpg")) == {"a.png": "done", "b.png": "skipped"}
    assert statuses(restore(tmp_path, ext="jpg", strict=True)) == {"a.png": "failed", "b.png": "skipped"}


def test_what_the_format_cannot_hold_is_refused_before_the_work(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", channels=4)
    engine = make_engine(MASK)
    engine.run = no_engine  # type: ignore[assignment]
    record = restore(tmp_path, engine=lambda: engine, ext="jpg")["a.png"]
    assert record.status == "refused"
    assert "is transparent, which JPEG cannot hold" in str(record.error)


def test_the_image_after_every_stage(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", channels=4)
    restore(tmp_path, TWICE)
    assert statuses(restore(tmp_path, TWICE, save_stages=True)) == {"a.png": "done"}
    folder = tmp_path / "out/a.png.stages"
    assert files(folder) == ["1_edsr.png", "2_unsharp_mask.png"]
    last = cv2.imread(str(folder / "2_unsharp_mask.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(last, cv2.imread(str(tmp_path / "out/a.png"), cv2.IMREAD_UNCHANGED))
    assert statuses(restore(tmp_path, TWICE, save_stages=True, engine=no_engine)) == {"a.png": "skipped"}


def test_the_kernel_of_a_blur_is_recorded_and_kept_as_a_file_that_can_be_given(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    chain = ChainConfig(stages=(BlindDeconvolutionConfig(disc=1.5), BlindDeconvolutionConfig()))
    record = restore(tmp_path, chain, save_stages=True)["a.png"]
    assert record.blurs["blind_deconvolution"]["found"] == "given"
    assert record.blurs["blind_deconvolution_2"] == {"found": "too small: less than 48 px on one side"}
    folder = tmp_path / "out/a.png.stages"
    names = ["1_blind_deconvolution.kernel.png", "1_blind_deconvolution.png", "2_blind_deconvolution_2.png"]
    assert files(folder) == names
    kernel = (folder / names[0]).read_bytes()
    assert record.blurs["blind_deconvolution"]["kernel"] == "data:image/png;base64," + b64encode(kernel).decode()
    torch.testing.assert_close(read_kernel(folder / names[0]), disc_kernel(1.5), atol=1e-5, rtol=0)


def test_a_finished_video_is_skipped_although_it_has_no_images_of_its_stages(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    clips.b_frames(tmp_path / "in/clip")
    videos = VideoJobs(VideoOptions())
    assert statuses(restore(tmp_path, save_stages=True, videos=videos)) == {"clip.mp4": "done"}
    assert statuses(restore(tmp_path, save_stages=True, videos=videos, engine=no_engine)) == {"clip.mp4": "skipped"}


def test_killed_before_the_result_got_its_name(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    expected = (tmp_path / "out/a.png").read_bytes()
    (tmp_path / "out/a.png").rename(tmp_path / "out/.a.png.writing.png")  # recorded, not renamed
    assert statuses(restore(tmp_path)) == {"a.png": "done"}
    assert (tmp_path / "out/a.png").read_bytes() == expected
    assert files(tmp_path / "out") == ["a.png", "restoration.jsonl"]


def test_killed_while_a_stale_result_was_replaced(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    old = (tmp_path / "out/a.png").read_bytes()
    weaker = MASK.with_strengths({"unsharp_mask": 0.5})
    restore(tmp_path, weaker)
    new = (tmp_path / "out/a.png").read_bytes()
    (tmp_path / "out/a.png").write_bytes(old)  # the newer one is recorded, the older one is there
    assert statuses(restore(tmp_path, weaker)) == {"a.png": "done"}
    assert (tmp_path / "out/a.png").read_bytes() == new


def test_killed_while_a_line_was_written(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path)
    report = tmp_path / "out/restoration.jsonl"
    report.write_bytes(report.read_bytes()[:-30])
    (tmp_path / "out/a.png").unlink()
    assert statuses(restore(tmp_path)) == {"a.png": "done"}
    assert statuses(restore(tmp_path, engine=no_engine)) == {"a.png": "skipped"}


def test_a_result_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "in/a.png")

    def fail(report: RunLog, record: Record) -> None:
        if record.status == "done":
            raise OSError(errno.EIO, "Input/output error")
        append(report, record)

    append = RunLog.append
    monkeypatch.setattr(RunLog, "append", fail)
    record = restore(tmp_path)["a.png"]
    assert (record.status, record.error) == ("failed", "Input/output error")
    assert files(tmp_path / "out") == ["restoration.jsonl"]


def test_finished_files_stay_when_interrupted(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        paint(tmp_path / "in" / name, seed=seed)
    engine = make_engine(MASK)
    run, calls = engine.run, iter([False, True])

    def interrupted(pixels: Any, **options: Any) -> Any:
        if next(calls):
            raise KeyboardInterrupt
        return run(pixels, **options)

    engine.run = interrupted  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path, engine=lambda: engine)
    assert files(tmp_path / "out") == ["a.png", "restoration.jsonl"]
    assert statuses(restore(tmp_path)) == {"a.png": "skipped", "b.png": "done", "c.png": "done"}


def test_seconds_in_all_include_those_of_the_stages(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    record = restore(tmp_path)["a.png"]
    assert sum(record.stage_seconds.values()) <= record.seconds + 0.01


def test_a_name_that_is_too_long_is_found_before_the_work(tmp_path: Path) -> None:
    paint(tmp_path / "in" / f"{'a' * 251}.png")
    (record,) = restore(tmp_path, engine=no_engine, ext="jpeg").values()
    expected = "the name of the result has 256 bytes, expected at most 255; rename the input"
    assert (record.status, record.error) == ("refused", expected)
