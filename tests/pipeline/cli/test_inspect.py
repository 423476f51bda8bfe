"""`restorechain inspect`: a row for each file, and the same as CSV."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.condition.condition import Condition
from run_pipeline import main
from tests.pipeline.video.clips import b_frames


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of a photo, a JPEG, a video and a text."""
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8), (0, 0), 1.0)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    b_frames(tmp_path / "c")
    (tmp_path / "d.txt").write_text("no image")
    return tmp_path


def inspect(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", "inspect", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_images_and_videos_are_measured(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(monkeypatch, str(photos), "-o", str(photos / "out" / "table.csv")) == 0
    with (photos / "out" / "table.csv").open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert list(rows) == ["a.png", "b.jpg", "c.mp4"]
    assert set(rows["a.png"]) == {"file", *Condition.__dataclass_fields__}
    assert rows["b.jpg"]["jpeg"] == "60"
    assert "noise" in capsys.readouterr().out


def test_a_damaged_image_is_named_and_the_others_are_measured(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "e.png").write_bytes((photos / "a.png").read_bytes()[:500])
    monkeypatch.setenv("COLUMNS", "200")
    assert inspect(monkeypatch, str(photos / "e.png"), str(photos / "a.png")) == 1
    shown = capsys.readouterr()
    assert "failed:" in shown.err
    assert "a.png" in shown.out


def test_files_of_one_name_in_two_folders_are_no_clash(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "other").mkdir()
    (photos / "other" / "a.png").write_bytes((photos / "a.png").read_bytes())
    assert inspect(monkeypatch, str(photos / "a.png"), str(photos / "other" / "a.png")) == 0
