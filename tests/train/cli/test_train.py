import re
from collections.abc import Callable
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


Train = Callable[..., tuple[int, str, str]]


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch,
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Train:
    """Train on the photos into the folder ``run``; returns the exit code, the output and the errors."""

    def run(*options: object) -> tuple[int, str, str]:
        data = ["--data", sharp_folder, "-o", tmp_path / "run", "--device", "cpu"]
        code = call(monkeypatch, config_file, *data, *options)
        return code, *capsys.readouterr()

    return run


def test_one_command_trains_a_stage(train: Train, tmp_path: Path) -> None:
    code, out, _ = train("--max-epochs", 1)
    path = tmp_path / "run" / "dncnn.safetensors"
    card = read_card(path)
    assert (code, card.steps) == (0, 4)
    assert card.data.startswith("photos: ")
    taken, network, start, schedule, epoch, weights = out.splitlines()
    assert taken.endswith(": 6 clean")
    assert network.startswith("dncnn: 1,611 parameters")
    assert re.search(r"photos: \d images, 0 pairs; validating on \d images?, 2\d\.\d\d dB when degraded", start)
    assert re.search(r"epoch 1 of 1: step 4, loss .*, \d\d\.\d\d dB \(the best\), learning rate ", epoch)
    assert "annealed by a cosine to 0 within the budget of 1 epoch" in schedule
    assert weights == str(path)


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


def test_values_of_the_configuration_can_be_set(train: Train, tmp_path: Path) -> None:
    code, _, err = train("--max-epochs", 1, "--set", "steps_per_epoch=2", "data.batch_size=0")
    assert code == 2
    assert "got 0, expected at least 1" in err
    code, out, _ = train("--max-epochs", 1, "--set", "steps_per_epoch=2", "--set", "learning_rate=1e-4")
    path = tmp_path / "run" / "dncnn.safetensors"
    assert (code, read_card(path).steps, out.splitlines()[-1]) == (0, 2, str(path))


def test_nothing_is_validated_on_that_is_trained_on(train: Train, sharp_folder: Path) -> None:
    code, _, err = train("--max-epochs", 1, "--val", sharp_folder / "1.png")
    assert code == 2
    assert "val: must hold nothing that data holds" in err


def test_a_run_is_neither_overwritten_nor_resumed_from_nothing(train: Train, tmp_path: Path) -> None:
    path = tmp_path / "run" / "dncnn.safetensors"
    code, _, err = train("--max-epochs", 1, "--resume")
    assert code == 2
    assert "resume: there is no" in err
    assert train("--max-epochs", 1)[0] == 0
    before = path.stat().st_mtime_ns
    for options, expected in (((), "holds a run already; resume it"), (("--resume", "--init", path), "leave it out")):
        code, _, err = train("--max-epochs", 1, *options)
        assert code == 2
        assert expected in err
    assert path.stat().st_mtime_ns == before


def test_a_run_is_not_resumed_by_another_configuration(train: Train, tmp_path: Path) -> None:
    assert train("--max-epochs", 1)[0] == 0
    before = (tmp_path / "run" / "config.json").read_text(encoding="utf-8")
    code, _, err = train("--max-epochs", 2, "--resume", "--set", "learning_rate=0.5")
    assert code == 2
    assert "is 0.5" in err
    assert (tmp_path / "run" / "config.json").read_text(encoding="utf-8") == before
    assert train("--max-epochs", 2, "--resume")[0] == 0


def test_counts_are_at_least_one(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("0", "-1", "two"):
        assert call(monkeypatch, config_file, "--data", tmp_path, "--max-epochs", text) == 2
        assert "--max-epochs" in capsys.readouterr().err
