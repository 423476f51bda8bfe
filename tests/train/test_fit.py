import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from skimage.data import astronaut
from skimage.io import imsave
from torchmetrics.functional.image import peak_signal_noise_ratio

from pipeline.errors import ConfigError
from stages.errors import WeightsError
from stages.registry import load_stage
from stages.weights import read_card, save_weights
from tests.train.command_line import main
from train.callbacks.curves import plot_curves, read_curve
from train.callbacks.schedules import AnnealWithinBudget
from train.callbacks.watch import Diverged
from train.chain.inside import Inside
from train.cli.options import CONFIGS
from train.config import Schedule, TrainingConfig
from train.data.batches import TrainingBatches, ValidationImages
from train.data.images import read_rgb
from train.data.layouts import Files, find_files
from train.data.split import split
from train.fit import fit
from train.run import Run
from train.task import RestorationTask
from train.training import Training, read_training


@pytest.fixture
def files(sharp_folder: Path) -> tuple[Files, Files]:
    return split(find_files([sharp_folder]), 3)


def run(config: TrainingConfig, files: tuple[Files, Files], folder: Path, **options: object) -> Path:
    return fit(Training.resolve(config), *files, Run(folder, device="cpu", **options), "test photos")


def changed(config: TrainingConfig, **values: object) -> TrainingConfig:
    return TrainingConfig.model_validate(config.model_dump() | values)


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
    assert (card.config["stage"], card.trained_for, card.data) == ("dncnn", "noise of sigma 25", "test photos")
    assert card.steps == 32
    assert card.training == config.model_dump(mode="json")
    assert load_stage(path)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_resumed_run_is_the_run_without_the_interruption(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, optimizer: str
) -> None:
    impatient = changed(config, schedule={"kind": "plateau", "patience": 0}, learning_rate=1e-5, optimizer=optimizer)
    run(impatient, files, tmp_path / "whole", max_epochs=4)
    run(impatient, files, tmp_path / "halves", max_epochs=2)
    run(impatient, files, tmp_path / "halves", max_epochs=4, resume=True)
    rates = column(tmp_path / "whole", "learning_rate")
    assert rates[-1] < rates[0]
    assert column(tmp_path / "halves", "learning_rate") == rates
    assert column(tmp_path / "halves", "val/psnr") == column(tmp_path / "whole", "val/psnr")


def test_plateau_lowers_the_rate_and_early_stopping_stops(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = changed(config, learning_rate=1e-6, schedule={"kind": "plateau", "patience": 0}, early_stopping=3)
    with caplog.at_level("INFO"):
        run(stuck, files, tmp_path / "run", max_epochs=50)
    assert re.search(r"stopped after \d epochs: .*val/psnr did not improve in the last 3", caplog.text)
    assert len(column(tmp_path / "run", "val/psnr")) < 10
    rates = column(tmp_path / "run", "learning_rate")
    assert min(rates) <= 0.25 * max(rates)


@pytest.mark.usefixtures("_a_second_a_batch")
def test_a_budget_of_time_brings_the_rate_down(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    cosine = changed(config, schedule={"kind": "cosine"})
    weights = run(cosine, files, tmp_path / "run", max_time=timedelta(seconds=40))
    assert read_card(weights).steps == 40
    rates = column(tmp_path / "run", "learning_rate")
    assert max(rates) > 0.9 * cosine.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * cosine.learning_rate


def test_time_spent_before_an_interruption_counts() -> None:
    anneal = AnnealWithinBudget(Schedule(), 1.0, timedelta(seconds=100), max_steps=-1)
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
    path = run(config, files, tmp_path / "run", max_epochs=1, precision="bf16")
    assert all(parameter.dtype == torch.float32 for parameter in load_stage(path).parameters())


def test_a_budget_is_needed_to_anneal_over(config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give max_time or max_epochs"):
        run(changed(config, schedule={"kind": "cosine"}), files, tmp_path / "run")


def test_steps_are_counted_however_many_batches_they_take(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    path = run(changed(config, accumulate=3, steps_per_epoch=4), files, tmp_path / "run", max_epochs=2)
    assert read_card(path).steps == 8


def test_a_run_writes_sheets_and_curves(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.fit.plot_curves", plot_curves)
    run(changed(config, sheet_epochs=2), files, tmp_path / "run", max_epochs=3)
    sheets = sorted(path.name for path in (tmp_path / "run" / "sheets").iterdir())
    assert sheets == ["epoch_0001.png", "epoch_0003.png"]
    assert read_rgb(tmp_path / "run" / "curves.png").size


def test_diverged_weights_stop_the_run_and_the_best_ones_of_before_are_kept(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = TrainingBatches.__getitem__

    def poisoned(batches: TrainingBatches, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        degraded, clean = make(batches, index)
        return degraded * (torch.nan if index == 19 else 1), clean

    monkeypatch.setattr(TrainingBatches, "__getitem__", poisoned)
    with pytest.raises(Diverged, match=r"not finite after step 24; .* the best weights so far are in .*dncnn"):
        run(config, files, tmp_path / "run", max_epochs=9)
    assert read_card(tmp_path / "run" / "dncnn.safetensors").steps in (8, 16)
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=False)
    assert last["global_step"] == 16
    assert all(tensor.isfinite().all() for tensor in last["current_model_state"].values())


def test_a_loss_that_is_never_finite_stops_the_run(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infinite = torch.tensor(torch.inf)
    step = RestorationTask.training_step
    monkeypatch.setattr(RestorationTask, "training_step", lambda *given: 0 * step(*given) + infinite)
    with pytest.raises(Diverged, match=r"not finite after step 8; .* there are no weights of before, as no epoch"):
        run(config, files, tmp_path / "run", max_epochs=2)


def test_a_rate_at_which_the_loss_explodes_stops_the_run(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path
) -> None:
    exploding = changed(config, learning_rate=1000.0, grad_clip=1e9)
    with pytest.raises(
        Diverged, match=r"the (loss is above 1000|loss is not finite|weights are not finite) after step"
    ):
        run(exploding, files, tmp_path / "run", max_epochs=2)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_its_best_weights_and_says_how_to_go_on(
    config_file: Path,
    sharp_folder: Path,
    tmp_path: Path,
    sent: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, once = TrainingBatches.__getitem__, iter([True])

    def interrupted(batches: TrainingBatches, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index == 40 and next(once, False):  # a second signal would end the process that runs the tests
            signal.raise_signal(sent)
        return make(batches, index)

    monkeypatch.setattr(TrainingBatches, "__getitem__", interrupted)
    monkeypatch.setattr("sys.argv", command(config_file, sharp_folder, tmp_path / "run", "--max-epochs", 100)[2:])
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    assert main() == 130
    signal.signal(signal.SIGINT, handler)
    message = capsys.readouterr().err
    assert re.search(r"interrupted in epoch \d; resume it to continue; the best weights so far are in .*dncnn", message)
    assert read_card(tmp_path / "run" / "dncnn.safetensors").steps >= 8


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_process_of_an_interrupted_run_ends_with_130(
    config_file: Path, sharp_folder: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    started = command(config_file, sharp_folder, tmp_path / "run", "--max-epochs", 10000, "--set", "steps_per_epoch=10")
    interrupted = subprocess.Popen(started, stderr=subprocess.PIPE, text=True)
    while len(column(tmp_path / "run", "val/psnr")) < 2:
        assert interrupted.poll() is None
        time.sleep(0.02)
    interrupted.send_signal(sent)
    _, message = interrupted.communicate()
    assert interrupted.returncode == 130
    assert re.search(
        r"interrupted in epoch \d+; resume it to continue; the best weights so far are in .*dncnn", message
    )
    assert read_card(tmp_path / "run" / "dncnn.safetensors").steps >= 10


def test_a_run_that_was_moved_keeps_its_best(
    config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config, files, tmp_path / "run", max_epochs=1)
    (tmp_path / "run").rename(tmp_path / "moved")
    monkeypatch.setattr("train.task.capped_psnr", lambda restored, clean: 1.0)
    weights = run(config, files, tmp_path / "moved", max_epochs=2, resume=True)
    assert read_card(weights).steps == 8


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(config: TrainingConfig, files: tuple[Files, Files], tmp_path: Path) -> None:
    run(config, files, tmp_path / "eager", max_epochs=2)
    run(changed(config, compile=True), files, tmp_path / "compiled", max_epochs=2)
    eager, compiled = (column(tmp_path / name, "val/psnr") for name in ("eager", "compiled"))
    assert compiled == pytest.approx(eager, abs=1e-2)


def command(config_file: Path, data: Path, out: Path, *options: object) -> list[str]:
    words = [config_file, "--data", data, "-o", out, "--device", "cpu", *options]
    return [sys.executable, "-m", "train", *map(str, words)]


@pytest.fixture
def config_file(config: TrainingConfig, tmp_path: Path) -> Path:
    path = tmp_path / "training.yaml"
    path.write_text(json.dumps(config.model_dump() | {"schedule": {"kind": "plateau", "patience": 0}}))
    return path


@pytest.mark.slow
def test_a_killed_run_resumes_as_the_run_that_was_not(config_file: Path, sharp_folder: Path, tmp_path: Path) -> None:
    options = ["--max-epochs", 12, "--set", "steps_per_epoch=40"]
    subprocess.run(command(config_file, sharp_folder, tmp_path / "whole", *options), check=True)
    killed = subprocess.Popen(command(config_file, sharp_folder, tmp_path / "killed", *options))
    while len(column(tmp_path / "killed", "val/psnr")) < 3:
        assert killed.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    subprocess.run(command(config_file, sharp_folder, tmp_path / "killed", *options, "--resume"), check=True)
    for name in ("val/psnr", "learning_rate"):
        whole, resumed = (read_curve(tmp_path / folder, name) for folder in ("whole", "killed"))
        assert len(whole) == 12
        assert resumed == whole
    assert (tmp_path / "killed" / "log" / "version_1").is_dir()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_double_batch(
    config_file: Path, sharp_folder: Path, tmp_path: Path
) -> None:
    options = ["--precision", "fp32", "--max-epochs", 3, "--set"]
    subprocess.run(command(config_file, sharp_folder, tmp_path / "one", *options, "data.batch_size=8"), check=True)
    subprocess.run(
        command(config_file, sharp_folder, tmp_path / "two", *options, "data.batch_size=4", "--devices", 2), check=True
    )
    for name in ("train/epoch_loss", "val/psnr"):
        one, two = (column(tmp_path / folder, name) for folder in ("one", "two"))
        assert len(one) == 3
        assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_machines_learn_what_one_learns_from_the_double_batch(
    config_file: Path, sharp_folder: Path, tmp_path: Path
) -> None:
    """The machines are two processes of this one, each started by torchrun as docs/training.md says."""
    options = ["--precision", "fp32", "--device", "cpu", "--max-epochs", 3, "--set"]
    subprocess.run(command(config_file, sharp_folder, tmp_path / "one", *options, "data.batch_size=8"), check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = command(config_file, sharp_folder, tmp_path / "two", *options, "data.batch_size=4", "--nodes", 2)
    torchrun = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    started = [
        subprocess.Popen(
            [arguments[0], *torchrun, "--master-port", str(port), "--node-rank", str(rank), *arguments[1:]]
        )
        for rank in range(2)
    ]
    assert [running.wait(300) for running in started] == [0, 0]
    for name in ("train/epoch_loss", "val/psnr"):
        one, two = (column(tmp_path / folder, name) for folder in ("one", "two"))
        assert len(one) == 3
        assert two == pytest.approx(one, rel=5e-4)


def test_weight_decay_reduces_weights_without_gradient(config: TrainingConfig, files: tuple[Files, Files]) -> None:
    task = RestorationTask(
        changed(config, weight_decay=0.1),
        config.stage.build(),
        Inside(Training.resolve(config).route, torch.device("cpu")),
    )
    optimizer = task.configure_optimizers()
    for parameter in task.stage.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = task.stage.model[0].weight.norm().item()
    optimizer.step()
    assert task.stage.model[0].weight.norm().item() < before


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_single_image_is_fitted(tmp_path: Path) -> None:
    """A corner of the demonstration: a narrower network, 48x48 pixels, 1000 steps."""
    imsave(tmp_path / "face.png", astronaut()[60:140, 180:260])
    changes = ["loss=mse", "stage.width=16", "data.crop_size=48", "data.validation_crop_size=48", "learning_rate=3e-3"]
    config = read_training(CONFIGS / "single_image.yaml", changes).config
    files = split(find_files([tmp_path / "face.png"]), 2)
    degraded, clean = ValidationImages(config, files[1], 1)[0]
    run(config, files, tmp_path / "run", max_epochs=5)
    assert max(column(tmp_path / "run", "val/psnr")) > peak_signal_noise_ratio(degraded, clean, data_range=1.0) + 8
