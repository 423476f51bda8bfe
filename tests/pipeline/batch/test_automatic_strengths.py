"""What was measured and chosen is recorded of every input, and a resumed video keeps its strengths."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.batch.record import Record
from pipeline.chain.config import ChainConfig
from pipeline.cli.progress import Tally
from pipeline.condition import strengths
from pipeline.condition.strengths import StrengthTable
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.batch.test_batch import restore
from tests.pipeline.batch.video_batch import packets, restore_batch, stop_at

CHAIN = ChainConfig(stages=(UnsharpMaskConfig(strength="auto", amount=2.0),))


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"unsharp_mask": StrengthTable(axes={"jpeg": (0, 100)}, values=(1.0, 0.0))}
    monkeypatch.setattr(strengths, "load_tables", lambda: tables)


def test_the_condition_and_the_strengths_are_in_the_run_log(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "in" / "a.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 70])
    cv2.imwrite(str(tmp_path / "in" / "b.png"), image)
    records = restore(tmp_path, CHAIN)
    assert records["a.jpg"].condition["jpeg"] == 70
    assert records["a.jpg"].strengths == {"unsharp_mask": 0.3}
    assert records["b.png"].strengths == {"unsharp_mask": 0.0}
    lines = [json.loads(line) for line in (tmp_path / "out" / "restoration.jsonl").read_text().splitlines()]
    assert [line["strengths"] for line in lines] == [{"unsharp_mask": 0.3}, {"unsharp_mask": 0.0}]


def test_records_say_what_was_chosen_and_why() -> None:
    measures = {"noise": 9.4, "colour_noise": 2, "blur": 0.8, "least_blur": 0.1, "jpeg": 72, "aliasing": 0.2}
    record = Record("a", "a", status="done", condition=measures, strengths={"dncnn": 1.0, "unet": 0.3})
    assert record.chosen == "noise 9.4, blur 0.8 px, JPEG 72: dncnn 1, unet 0.3"
    tally = Tally()
    tally.add(record)
    assert tally.chosen() == "mean strengths: dncnn 1.00 (1 to 1), unet 0.30 (0.3 to 0.3)"


def test_a_resumed_video_equals_an_uninterrupted_one(
    write_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"unsharp_mask": StrengthTable(axes={"blur": (0, 5)}, values=(1.0, 0.3))}
    monkeypatch.setattr(strengths, "load_tables", lambda: tables)
    write_video("clip.mkv")
    (whole,) = restore_batch(tmp_path, "clip.mkv", config=CHAIN, codec="ffv1", segment=3)
    expected = packets(tmp_path / "out/clip.mkv")
    (tmp_path / "out/clip.mkv").unlink()
    with pytest.raises(KeyboardInterrupt):
        restore_batch(tmp_path, "clip.mkv", config=CHAIN, codec="ffv1", segment=3, watch=stop_at(8))
    (record,) = restore_batch(tmp_path, "clip.mkv", config=CHAIN, codec="ffv1", segment=3)
    assert "resumed an interrupted run after its first 6 frames" in record.notes
    assert 0.3 <= record.strengths["unsharp_mask"] <= 1
    assert whole.condition
    assert packets(tmp_path / "out/clip.mkv") == expected
