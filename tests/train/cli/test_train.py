import re
from pathlib import Path

import pytest

from stages.weights import read_card
from tests.train.command_line import main

CONFIG = """
stage: {stage: dncnn, depth: 4, width: 8, skips: true, batch_norm: false}
trained_for: noise of sigma 25
degradation:
  - {kind: gaussian_noise, sigma: [25.0, 25.0]}
data: {crop_size: 16, batch_size: 4, validation_crop_size: 32, validation_repeats: 1, held_out: 3}
steps_per_epoch: 4
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    (tmp_path / "training.yaml").write_text(CONFIG)
    return tmp_path / "training.yaml"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["train", *map(str, arguments)])
    return main()


def test_one_command_trains_a_stage(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    options = ["--data", sharp_folder, "-o", out, "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, config_file, *options) == 0
    card = read_card(out / "dncnn.safetensors")
    assert card.steps == 4
    assert card.data.startswith("photos: ")
    taken, network, start, schedule, epoch, weights = capsys.readouterr().out.splitlines()
    assert taken.endswith(": 6 clean")
    assert network.startswith("dncnn: 1,611 parameters")
    assert re.search(r"photos: \d images, 0 pairs; validating on \d images?, 2\d\.\d\d dB when degraded", start)
    assert re.search(r"epoch 1 of 1: step 4, loss .*, \d\d\.\d\d dB \(the best\), learning rate ", epoch)
    assert "annealed by a cosine to 0 within the budget of 1 epoch" in schedule
    assert weights == str(out / "dncnn.safetensors")


def test_other_folders_can_validate(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, sharp_folder: Path, pair_folder: Path, tmp_path: Path
) -> None:
    for name in ("0.png", "1.png"):  # what the pairs' sharp sides are
        (sharp_folder / name).unlink()
    options = ["-o", tmp_path / "run", "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, config_file, "--data", sharp_folder, "--val", pair_folder, *options) == 0
    assert "4 images" in read_card(tmp_path / "run" / "dncnn.safetensors").data


def test_errors_end_in_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, config_file, "--data", tmp_path / "none") == 2
    assert "expected a folder of images" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path / "none.yaml", "--data", tmp_path) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_values_of_the_configuration_can_be_set(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = ["--data", sharp_folder, "-o", tmp_path / "run", "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, config_file, *options, "--set", "steps_per_epoch=2", "data.batch_size=0") == 2
    assert "got 0, expected at least 1" in capsys.readouterr().err
    assert call(monkeypatch, config_file, *options, "--set", "steps_per_epoch=2", "--set", "learning_rate=1e-4") == 0
    assert read_card(tmp_path / "run" / "dncnn.safetensors").steps == 2
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "run" / "dncnn.safetensors")


def test_nothing_is_validated_on_that_is_trained_on(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = ["--data", sharp_folder, "--val", sharp_folder / "1.png", "-o", tmp_path / "run"]
    assert call(monkeypatch, config_file, *options, "--max-epochs", 1) == 2
    assert "val: must hold nothing that data holds" in capsys.readouterr().err


def test_a_run_is_neither_overwritten_nor_resumed_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = [config_file, "--data", sharp_folder, "-o", tmp_path / "run", "--max-epochs", 1, "--device", "cpu"]
    assert call(monkeypatch, *options, "--resume") == 2
    assert "resume: there is no" in capsys.readouterr().err
    assert call(monkeypatch, *options) == 0
    before = (tmp_path / "run" / "dncnn.safetensors").stat().st_mtime_ns
    assert call(monkeypatch, *options) == 2
    assert "holds a run already; resume it" in capsys.readouterr().err
    assert call(monkeypatch, *options, "--resume", "--init", tmp_path / "run" / "dncnn.safetensors") == 2
    assert "leave it out" in capsys.readouterr().err
    assert (tmp_path / "run" / "dncnn.safetensors").stat().st_mtime_ns == before


def test_a_run_is_not_resumed_by_another_configuration(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = [config_file, "--data", sharp_folder, "-o", tmp_path / "run", "--device", "cpu"]
    assert call(monkeypatch, *options, "--max-epochs", 1) == 0
    before = (tmp_path / "run" / "config.json").read_text(encoding="utf-8")
    assert call(monkeypatch, *options, "--max-epochs", 2, "--resume", "--set", "learning_rate=0.5") == 2
    assert "is 0.5" in capsys.readouterr().err
    assert (tmp_path / "run" / "config.json").read_text(encoding="utf-8") == before
    assert call(monkeypatch, *options, "--max-epochs", 2, "--resume") == 0


def test_counts_are_at_least_one(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("0", "-1", "two"):
        assert call(monkeypatch, config_file, "--data", tmp_path, "--max-epochs", text) == 2
        assert "--max-epochs" in capsys.readouterr().err
