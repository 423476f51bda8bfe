from pathlib import Path

import pytest

from stages.weights import read_card
from train.__main__ import main, parse_time

RECIPE = """
stage: {stage: dncnn, depth: 4, width: 8, skips: true, batch_norm: false}
trained_for: noise of sigma 25
degradation:
  - {kind: gaussian_noise, sigma: [25.0, 25.0]}
data: {crop: 16, batch: 4, validation_crop: 32, held_out: 3}
steps_per_epoch: 4
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["train", *map(str, arguments)])
    return main()


def test_one_command_trains_a_stage(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, sharp_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--data", sharp_folder, "--out", out, "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, "dncnn", "-c", recipe, *options) == 0
    card = read_card(out / "dncnn.safetensors")
    assert card.steps == 4
    assert card.data.startswith("photos: ")


def test_other_folders_can_validate(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, sharp_folder: Path, pair_folder: Path, tmp_path: Path
) -> None:
    options = ["--out", tmp_path / "run", "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, "dncnn", "-c", recipe, "--data", sharp_folder, "--val", pair_folder, *options) == 0
    assert "6 images" in read_card(tmp_path / "run" / "dncnn.safetensors").data


def test_mistakes_end_in_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "dncnn", "-c", recipe, "--data", tmp_path / "none") == 2
    assert "expected a folder of images" in capsys.readouterr().err
    assert call(monkeypatch, "dncnn", "-c", tmp_path / "none.yaml", "--data", tmp_path) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_time_is_read_or_refused() -> None:
    assert parse_time("01:02:03").total_seconds() == 3723
    with pytest.raises(Exception, match="expected HH:MM:SS"):
        parse_time("20 minutes")
