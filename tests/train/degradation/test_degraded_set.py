from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pipeline.chain.yaml_validation import read_yaml
from tests.train.command_line import main
from train.data.images import read_rgb
from train.degradation.degraded_set import DegradedSet

SHIPPED = Path(__file__).parents[3] / "configs" / "degrade"
NOISE = "degradation:\n  - {kind: gaussian_noise, sigma: [20.0, 20.0]}\n"


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    (tmp_path / "noise.yaml").write_text(NOISE)
    return tmp_path / "noise.yaml"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "degraded"


def call(monkeypatch: pytest.MonkeyPatch, source: Path, target: Path, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["train", "degrade", *map(str, (source, "-o", target, *arguments))])
    return main()


def images_in(folder: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(folder).as_posix(): read_rgb(path) for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_make_a_set(
    path: Path, sharp_folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, sharp_folder, target, "-c", path) == 0
    assert len(images_in(target)) == 6


def test_the_tree_is_kept_and_the_configuration_written_beside_it(
    sharp_folder: Path, noise: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sharp_folder / "more").mkdir()
    (sharp_folder / "5.png").rename(sharp_folder / "more" / "5.v2.png")
    assert call(monkeypatch, sharp_folder, target, "-c", noise, "--seed", 3) == 0
    clean, degraded = images_in(sharp_folder), images_in(target)
    assert degraded.keys() == clean.keys()
    assert all(5 < np.std(degraded[name].astype(float) - clean[name]) < 25 for name in clean)
    written = yaml.safe_load((target / "degradation.yaml").read_text())
    assert written["seed"] == 3
    assert written["code_version"]
    assert written["files"] == sorted(clean)
    assert written["degradation"][0]["sigma"] == [20.0, 20.0]


def test_a_set_is_made_again_from_the_configuration_beside_it(
    sharp_folder: Path, noise: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, sharp_folder, target, "-c", noise, "--seed", 3) == 0
    assert call(monkeypatch, sharp_folder, tmp_path / "again", "-c", target / "degradation.yaml") == 0
    assert call(monkeypatch, sharp_folder, tmp_path / "other", "-c", noise) == 0
    assert (tmp_path / "again" / "degradation.yaml").read_text() == (target / "degradation.yaml").read_text()
    first, again, other = (images_in(folder) for folder in (target, tmp_path / "again", tmp_path / "other"))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_an_image_is_degraded_alike_whatever_lies_beside_it(
    sharp_folder: Path, noise: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, sharp_folder, target, "-c", noise) == 0
    for name in ("0.png", "3.png"):
        (sharp_folder / name).unlink()
    assert call(monkeypatch, sharp_folder, tmp_path / "fewer", "-c", noise) == 0
    first, fewer = images_in(target), images_in(tmp_path / "fewer")
    assert len(fewer) == 4
    assert all(np.array_equal(first[name], fewer[name]) for name in fewer)


def test_broken_and_tiny_files_are_named_and_left_out(
    sharp_folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "small.yaml").write_text("degradation: [{kind: downscale, factor: 4}]\n")
    (sharp_folder / "broken.png").write_bytes(b"not an image")
    cv2.imwrite(str(sharp_folder / "tiny.png"), np.zeros((3, 9, 3), np.uint8))
    cv2.imwrite(str(sharp_folder / "uneven.png"), np.zeros((11, 9, 3), np.uint8))
    assert call(monkeypatch, sharp_folder, target, "-c", tmp_path / "small.yaml") == 1
    assert "broken.png cannot be decoded" in caplog.text
    assert "tiny.png is smaller than 4 pixels" in caplog.text
    assert len(yaml.safe_load((target / "degradation.yaml").read_text())["files"]) == 7
    assert images_in(target)["uneven.png"].shape == (2, 2, 3)


def test_nothing_is_overwritten_unasked(
    sharp_folder: Path, noise: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    assert call(monkeypatch, sharp_folder, target, "-c", noise) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    assert call(monkeypatch, sharp_folder, target, "-c", noise, "--overwrite") == 0
    assert len(images_in(target)) == 6
    assert call(monkeypatch, sharp_folder, sharp_folder, "-c", noise, "--overwrite") == 2
    assert "expected another folder" in capsys.readouterr().err


def test_a_set_below_its_source_is_not_taken_for_more_images(
    sharp_folder: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = sharp_folder / "degraded"
    for _ in range(2):
        assert call(monkeypatch, sharp_folder, target, "-c", noise, "--overwrite") == 0
        assert len(images_in(target)) == 6


def test_files_of_one_name_are_refused(
    sharp_folder: Path, noise: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sharp_folder / "0.jpg").write_bytes((sharp_folder / "0.png").read_bytes())
    assert call(monkeypatch, sharp_folder, target, "-c", noise) == 2
    assert "would both become 0.png" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("degradation: [{kind: jpg, quality: [5.0, 9.0]}]", "unknown kind 'jpg'; did you mean 'jpeg'?"),
        (
            "degradation:\n- kind: shuffled\n  steps:\n  - {kind: jpeg}\n  - {kind: quantise}",
            ":4: degradation.0.steps.0.quality",
        ),
        ("degradation: []\nframes: {count: 4}", "expected an odd number"),
    ],
)
def test_errors_of_the_configuration_are_reported_by_line(
    text: str, message: str, sharp_folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "wrong.yaml").write_text(text)
    assert call(monkeypatch, sharp_folder, target, "-c", tmp_path / "wrong.yaml") == 2
    assert message in capsys.readouterr().err


def test_frames_of_a_folder_are_averaged(
    sharp_folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frames.yaml").write_text("degradation: []\nframes: {count: 3, linear_light: false}\n")
    (sharp_folder / "5.png").unlink()
    assert call(monkeypatch, sharp_folder, target, "-c", tmp_path / "frames.yaml") == 0
    clean, blurred = images_in(sharp_folder), images_in(target)
    assert list(blurred) == ["1.png"]
    mean = np.mean([clean[f"{frame}.png"] for frame in range(3)], axis=0)
    assert np.abs(blurred["1.png"] - mean).max() <= 0.51


def test_a_frame_of_another_size_ends_its_window_only(
    sharp_folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "frames.yaml").write_text("degradation: []\nframes: {count: 3}\n")
    cv2.imwrite(str(sharp_folder / "2.png"), np.zeros((11, 9, 3), np.uint8))
    assert call(monkeypatch, sharp_folder, target, "-c", tmp_path / "frames.yaml") == 1
    assert "0.png and the 2 frames after it differ in size" in caplog.text
    assert list(images_in(target)) == ["4.png"]


def test_a_set_is_read_as_it_was_written(
    sharp_folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch, noise: Path
) -> None:
    assert call(monkeypatch, sharp_folder, target, "-c", noise) == 0
    assert read_yaml(target / "degradation.yaml", DegradedSet).files == [f"{index}.png" for index in range(6)]
