"""References are found, images are scored at one size, and a bad reference is reported and stops nothing."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.batch.batch import Batch
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.score_tables import as_table, write_csv
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import to_tensor
from pipeline.errors import ConfigError
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.evaluation.metrics import psnr_rgb, psnr_y, ssim_y
from pipeline.evaluation.quality import Quality
from pipeline.images import read_image
from stages.edsr import EDSRConfig
from stages.layers import bicubic_upscale
from stages.unsharp_mask import UnsharpMaskConfig

TWICE = ChainConfig(stages=(UnsharpMaskConfig(amount=0.3), EDSRConfig(width=2, depth=1)))
SAME = ChainConfig(stages=(UnsharpMaskConfig(),))


def paint(path: Path, height: int = 16, width: int = 24, *, seed: int = 0, gray: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if gray else (height, width, 3)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, shape, np.uint8))
    return path


def paint_pair(folder: Path, name: str = "a.png", *, seed: int = 0) -> None:
    paint(folder / "in" / name, seed=seed)
    paint(folder / "clean" / name, 32, 48, seed=seed + 100)


def restore(
    folder: Path, config: ChainConfig = TWICE, engine: Any = None, *, save_stages: bool = False, **options: Any
) -> dict[str, Record]:
    """Restore ``folder/in`` to ``folder/out``, compare with ``folder/clean``, and return the records by input name."""
    report = RunLog(folder / "out" / "restoration.jsonl")
    make_engine = engine or (lambda: Engine(Chain.build(config), device="cpu"))
    kinds = {"image": ImageJobs(config.names if save_stages else (), ReferenceComparison(folder / "clean"))}
    batch = Batch(JobSteps(config, folder / "out", make_engine, kinds, **options), report)
    records: list[Record] = []
    batch.run(plan([str(folder / "in")], folder / "out"), records.append)
    report.close()
    return {Path(record.input).name: record for record in records}


def quality(record: Record) -> Quality:
    assert record.quality is not None
    return record.quality


def no_engine() -> Any:
    raise AssertionError("nothing is to be computed, so no network is to be built")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_a_reference_has_the_same_place_and_stem(tmp_path: Path) -> None:
    touch(tmp_path, "deep/a.b.tif", "deep/a.txt", "a.b.png", "deep/a.JPG")
    comparison = ReferenceComparison(tmp_path)
    assert comparison.find(Path("deep/a.b.png")).reference == str(tmp_path / "deep/a.b.tif")
    assert comparison.find(Path("deep/a.png")).reference == str(tmp_path / "deep/a.JPG")


def test_a_missing_or_ambiguous_reference_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg")
    comparison = ReferenceComparison(tmp_path)
    assert comparison.find(Path("a.png")) == Quality(
        error=f"{tmp_path}/a.jpg and {tmp_path}/a.png could be its reference; keep one of them"
    )
    assert comparison.find(Path("no/b.png")) == Quality(
        error=f"no reference, expected {tmp_path}/no/b.* of a type that can be read"
    )


def test_a_reference_may_be_as_large_as_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint_pair(tmp_path)
    monkeypatch.setattr("pipeline.evaluation.comparison.PIXEL_LIMIT", 16 * 24)
    monkeypatch.setattr(
        "pipeline.evaluation.comparison.read_image", lambda path, limit=16 * 24: read_image(path, limit)
    )
    assert quality(restore(tmp_path)["a.png"]).scores
    paint(tmp_path / "clean/a.png", 33, 48)
    assert "claims 48 x 33" in str(quality(restore(tmp_path, overwrite=True)["a.png"]).error)


def test_a_file_is_no_folder_of_references(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reference: got .*a\.png, which is not a folder"):
        ReferenceComparison(paint(tmp_path / "a.png"))


def test_every_stage_and_the_chain_without_it_are_scored(tmp_path: Path) -> None:
    paint_pair(tmp_path)
    record = restore(tmp_path, save_stages=True)["a.png"]
    scores = quality(record).scores
    assert list(scores) == [
        "bicubic",
        "after unsharp_mask",
        "after edsr",
        "without unsharp_mask",
        "without edsr",
    ]
    cpu = Engine(Chain.build(TWICE), device="cpu").device
    clean = to_tensor(read_image(tmp_path / "clean/a.png").pixels, cpu)
    result = to_tensor(read_image(tmp_path / "out/a.png").pixels, cpu)
    assert scores["after edsr"] == pytest.approx(
        {
            "psnr_rgb": psnr_rgb(result, clean),
            "psnr_y": psnr_y(result, clean, border=2),
            "ssim_y": ssim_y(result, clean, border=2),
        },
        abs=1e-4,
    )
    early = to_tensor(read_image(tmp_path / "out/a.png.stages/1_unsharp_mask.png").pixels, cpu)
    upscaled = bicubic_upscale(early, 2).clamp(0, 1).mul(255).round() / 255
    assert scores["after unsharp_mask"]["psnr_rgb"] == pytest.approx(psnr_rgb(upscaled, clean), abs=1e-3)
    # Without the upscaling stage the output of the others is upscaled bicubically, just as it is for its scores.
    assert scores["without edsr"]["psnr_rgb"] == pytest.approx(scores["after unsharp_mask"]["psnr_rgb"], abs=0.05)


def test_a_stage_left_out_is_the_chain_at_strength_zero(tmp_path: Path) -> None:
    paint_pair(tmp_path)
    stages = Chain.build(TWICE).stages

    def engine(**strengths: float) -> Engine:
        return Engine(Chain(TWICE.with_strengths(strengths), stages), device="cpu")

    whole = quality(restore(tmp_path, engine=engine)["a.png"]).scores
    halved = restore(tmp_path, engine=lambda: engine(unsharp_mask=0.0), overwrite=True)["a.png"]
    assert quality(halved).scores["after edsr"] == whole["without unsharp_mask"]
    assert quality(halved).scores["bicubic"] == whole["bicubic"]


def test_comparing_does_not_change_the_result(tmp_path: Path) -> None:
    paint_pair(tmp_path)
    engine = Engine(Chain.build(TWICE), device="cpu")
    expected = engine.run(read_image(tmp_path / "in/a.png").pixels).pixels
    record = restore(tmp_path, engine=lambda: engine)["a.png"]
    assert np.array_equal(read_image(tmp_path / "out/a.png").pixels, expected)
    assert not (tmp_path / "out/a.png.stages").exists()
    assert record.stage_seconds.keys() == {"unsharp_mask", "edsr"}


def test_a_perfect_result_has_perfect_scores(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png", gray=True)
    paint(tmp_path / "clean/a.png", gray=True)
    scores = quality(restore(tmp_path, SAME)["a.png"]).scores
    assert scores["bicubic"] == {"psnr_rgb": 100, "psnr_y": 100, "ssim_y": 1}
    assert scores["without unsharp_mask"] == scores["bicubic"]
    assert scores["after unsharp_mask"]["psnr_rgb"] < 40


def test_a_colour_that_alpha_hides_does_not_count(tmp_path: Path) -> None:
    for folder, hidden in (("in", 0), ("clean", 255)):
        logo = np.full((16, 24, 4), 90, np.uint8)
        logo[:, 12:] = hidden, hidden, hidden, 0
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), logo)
    scores = quality(restore(tmp_path, SAME)["a.png"]).scores
    assert {variant["psnr_rgb"] for variant in scores.values()} == {100.0}


def test_bad_references_stop_nothing(tmp_path: Path) -> None:
    for seed, name in enumerate(("broken.png", "good.png", "missing.png", "small.png")):
        paint_pair(tmp_path, name, seed=seed)
    (tmp_path / "clean/broken.png").write_bytes(b"no image")
    (tmp_path / "clean/missing.png").unlink()
    paint(tmp_path / "clean/small.png", 16, 24)
    records = restore(tmp_path)
    assert {record.status for record in records.values()} == {"done"}
    errors = {name: quality(record).error for name, record in records.items()}
    assert errors == {
        "broken.png": f"the reference {tmp_path}/clean/broken.png is not an image of a known format, "
        "it begins with b'no image'",
        "good.png": None,
        "missing.png": f"no reference, expected {tmp_path}/clean/missing.* of a type that can be read",
        "small.png": f"the reference {tmp_path}/clean/small.png is 24x16, expected 48x32, the size of the result; "
        "the input is 24x16",
    }
    assert [name for name, record in records.items() if quality(record).scores] == ["good.png"]


def test_what_is_compared_already_is_skipped_with_its_scores(tmp_path: Path) -> None:
    paint_pair(tmp_path)
    first = restore(tmp_path)["a.png"]
    for _ in range(2):
        again = restore(tmp_path, engine=no_engine)["a.png"]
        assert (again.status, again.quality) == ("skipped", first.quality)


def test_what_is_finished_but_not_compared_is_done_again(tmp_path: Path) -> None:
    paint_pair(tmp_path)
    reference = (tmp_path / "clean/a.png").rename(tmp_path / "later.png")
    assert restore(tmp_path)["a.png"].status == "done"
    assert restore(tmp_path, engine=no_engine)["a.png"].status == "skipped"  # there is no reference
    reference.rename(tmp_path / "clean/a.png")
    record = restore(tmp_path)["a.png"]
    assert record.status == "done"
    paint(tmp_path / "clean/a.png", 32, 48, seed=7)
    other = restore(tmp_path)["a.png"]
    assert other.status == "done"
    assert quality(other).scores != quality(record).scores


def test_table_and_csv_hold_every_image_and_the_mean(tmp_path: Path) -> None:
    def compared(name: str, psnr: float) -> Record:
        scores = {"psnr_rgb": psnr, "psnr_y": psnr + 1, "ssim_y": psnr / 100}
        return Record(name, name, "done", quality=Quality("r", "sha", {"bicubic": scores, "after edsr": scores}))

    records = [compared("a,b.png", 20.0), compared(b"caf\xe9.png".decode("utf-8", "surrogateescape"), 30.0)]
    write_csv(tmp_path / "out/metrics.csv", records)
    with (tmp_path / "out/metrics.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "variant", "psnr_rgb", "psnr_y", "ssim_y"]
    assert rows[1] == ["a,b.png", "bicubic", "20.0", "21.0", "0.2"]
    assert rows[-2:] == [["mean", "bicubic", "25.0", "26.0", "0.25"], ["mean", "after edsr", "25.0", "26.0", "0.25"]]
    assert len(rows) == 1 + 2 * 3
    assert as_table(records).row_count == 2 * 3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.csv"]
