import csv
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from stages.registry import load_stage
from stages.weights import WeightsError, read_card, save_weights
from train.config import TrainingConfig
from train.data import Files, find_files
from train.fit import AnnealOverBudget, Run, fit


@pytest.fixture
def files(sharp_folder: Path) -> tuple[Files, Files]:
    return find_files([sharp_folder]).split(3)


def run(config: TrainingConfig, files: tuple[Files, Files], folder: Path, **options: object) -> Path:
    return fit(config, *files, Run(folder, device="cpu", **options), "stand-ins")


def column(folder: Path, name: str) -> list[float]:
    rows = [row for log in sorted(folder.glob("log/*/metrics.csv")) for row in csv.DictReader(log.open())]
    return [float(row[name]) for row in rows if row.get(name)]


def test_training_ends_in_a_weights_file_better_than_nothing(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    path = run(config, files, tmp_path / "run", max_epochs=4)
    psnr = column(tmp_path / "run", "val/psnr")
    assert psnr[-1] > 20.3 + 0.5
    card = read_card(path)
    assert (card.config["stage"], card.trained_for, card.data) == ("dncnn", "noise of sigma 25", "stand-ins")
    assert card.steps == 32
    assert load_stage(path)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_a_resumed_run_is_the_run_without_the_interruption(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    run(config, files, tmp_path / "whole", max_epochs=3)
    run(config, files, tmp_path / "halves", max_epochs=1)
    run(config, files, tmp_path / "halves", max_epochs=3, resume=True)
    assert column(tmp_path / "halves", "val/psnr") == column(tmp_path / "whole", "val/psnr")


def test_plateau_lowers_the_rate_and_early_stopping_stops(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    stuck = TrainingConfig.model_validate(
        config.model_dump() | {"rate": 1e-6, "schedule": {"kind": "plateau", "patience": 0}, "early_stopping": 3}
    )
    run(stuck, files, tmp_path / "run", max_epochs=50)
    assert len(column(tmp_path / "run", "val/psnr")) < 10
    rates = column(tmp_path / "run", "lr-Adam")
    assert min(rates) <= 0.25 * max(rates)


def test_a_budget_of_time_brings_the_rate_down(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    cosine = TrainingConfig.model_validate(config.model_dump() | {"schedule": {"kind": "cosine"}})
    run(cosine, files, tmp_path / "run", max_time=timedelta(seconds=3))
    rates = column(tmp_path / "run", "lr-Adam")
    assert max(rates) > 0.9 * cosine.rate
    assert rates[-1] < 0.1 * cosine.rate


def test_time_spent_before_an_interruption_counts(config: TrainingConfig, tmp_path: Path) -> None:
    schedule = TrainingConfig.model_validate(config.model_dump() | {"schedule": {"kind": "cosine"}}).schedule
    anneal = AnnealOverBudget(schedule, 1.0, Run(tmp_path, timedelta(seconds=100)), 10)
    anneal.load_state_dict({"spent": 60.0})
    assert anneal.state_dict()["spent"] == pytest.approx(60, abs=1)


def test_starting_weights_must_fit(config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path) -> None:
    first = run(config, files, tmp_path / "first", max_epochs=1)
    other = config.stage.model_copy(update={"width": 4})
    with pytest.raises(WeightsError, match="does not fit this DnCNN"):
        run(config.model_copy(update={"stage": other}), files, tmp_path / "second", max_epochs=1, init=first)
    save_weights(tmp_path / "copy.safetensors", load_stage(first), read_card(first))
    again = run(config, files, tmp_path / "third", max_epochs=1, init=tmp_path / "copy.safetensors")
    assert column(tmp_path / "third", "val/psnr")[0] > column(tmp_path / "first", "val/psnr")[0]
    assert again.is_file()


def test_half_precision_trains(config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path) -> None:
    path = run(config, files, tmp_path / "run", max_epochs=1, precision="bf16-mixed")
    assert all(parameter.dtype == torch.float32 for parameter in load_stage(path).parameters())
