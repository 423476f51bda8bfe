from pathlib import Path

import pytest

from tests.train.command_line import main
from train.config import TrainingConfig
from train.data.images import read_rgb
from train.evaluation.compare import on_equal_terms

CONFIG = """
stage: {{stage: dncnn, depth: {depth}, width: 8, skips: true, batch_norm: false}}
trained_for: noise of sigma 25
degradation:
  - {{kind: gaussian_noise, sigma: [25.0, 25.0]}}
data: {{crop_size: 16, batch_size: {batch}, validation_crop_size: 32, validation_repeats: 1, held_out: 3}}
schedule: {{kind: cosine}}
steps_per_epoch: 4
"""


@pytest.fixture
def config_files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "shallow.yaml", tmp_path / "deep.yaml"]
    for path, depth, batch in zip(paths, (4, 6), (4, 2), strict=True):
        path.write_text(CONFIG.format(depth=depth, batch=batch))
    return paths


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["train", "compare", *map(str, words)])
    return main()


@pytest.mark.usefixtures("_a_second_a_batch")
def test_networks_are_compared_and_what_is_trained_stays(
    monkeypatch: pytest.MonkeyPatch,
    config_files: list[Path],
    sharp_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    options = ["--data", sharp_folder, "-o", out, "--budget", "00:00:12", "--device", "cpu"]
    assert call(monkeypatch, *config_files, *options) == 0
    table = (out / "comparison.md").read_text()
    assert "| shallow |" in table
    assert "| deep |" in table
    assert read_rgb(out / "curves.png").shape[1] > 500
    assert read_rgb(out / "sheet.png").shape[1] > 4 * 180
    trained = {path: path.stat().st_mtime_ns for path in out.glob("*/*.safetensors")}
    assert len(trained) == 2
    (out / "comparison.md").unlink()
    assert call(monkeypatch, *config_files, *options) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.safetensors")} == trained
    assert "| deep |" in (out / "comparison.md").read_text()
    assert call(monkeypatch, *config_files, *options[:-4], "--budget", "00:01:00") == 2
    assert "was trained for 0:00:12, not 0:01:00" in capsys.readouterr().err
    assert call(monkeypatch, *config_files, *options, "--set", "seed=1") == 2
    assert "seed: was 0, is 1" in capsys.readouterr().err


def test_the_first_configuration_sets_the_terms(config: TrainingConfig) -> None:
    other = config.model_copy(
        update={"seed": 5, "learning_rate": 0.5, "data": config.data.model_copy(update={"batch_size": 9})}
    )
    equal = on_equal_terms(other, config)
    assert (equal.seed, equal.data, equal.learning_rate) == (config.seed, config.data, 0.5)


def test_two_configurations_of_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, config_files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, config_files[0], config_files[0], "--data", tmp_path, "--budget", "00:00:01") == 2
    assert "same name" in capsys.readouterr().err
