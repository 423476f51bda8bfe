from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.registry import load_stage
from stages.stage import LearnedStageConfig
from stages.unet import UNetConfig
from stages.weights import Card, load_weights, read_card, save_weights
from train.chain.inside import Inside
from train.config import TrainingConfig
from train.data.layouts import Files, find_files
from train.data.split import split
from train.fit import fit
from train.run import Run
from train.task import RestorationTask
from train.teacher import Teacher, TeacherConfig
from train.training import Training

ORIGIN = "A. Teacher 2020, MIT"


@pytest.fixture
def files(sharp_folder: Path) -> tuple[Files, Files]:
    return split(find_files([sharp_folder]), 3)


def write(folder: Path, config: LearnedStageConfig) -> Path:
    """A teacher with random weights, all of them drawn."""
    torch.manual_seed(1)
    stage = config.build()
    for parameter in stage.parameters():
        nn.init.normal_(parameter, std=0.05)
    path = folder / "teacher.safetensors"
    save_weights(path, stage, Card(config={"stage": config.stage, **config.architecture()}, origin=ORIGIN))
    return path


@pytest.fixture
def teacher_file(tmp_path: Path) -> Path:
    return write(tmp_path, DnCNNConfig(depth=3, width=4, batch_norm=False))


def taught(config: TrainingConfig, path: Path, **teacher: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(
        config.model_dump() | {"teacher": {"stage": "dncnn", "weights": path, "share": 0.5} | teacher}
    )


def fitted(config: TrainingConfig, files: tuple[Files, Files], folder: Path, **options: Any) -> Path:
    return fit(Training.resolve(config), *files, Run(folder, device="cpu", **options), "photos")


def weights_of(path: Path) -> dict[str, Tensor]:
    return load_stage(path).state_dict()


def test_the_card_names_the_teacher_and_its_origin(
    config: TrainingConfig, files: tuple[Files, Files], teacher_file: Path, tmp_path: Path
) -> None:
    card = read_card(fitted(taught(config, teacher_file), files, tmp_path / "run", max_epochs=1))
    note = f"taught by dncnn (teacher.safetensors; {ORIGIN})"
    assert card.data == f"photos; 50% of the loss {note}"
    assert card.origin == f"restorechain, {note}"


def test_the_loss_is_shared_where_the_teacher_is_better_and_it_learns_nothing(
    config: TrainingConfig, teacher_file: Path
) -> None:
    config = taught(config, teacher_file, share=0.25)
    assert config.teacher
    teacher = Teacher(config.teacher, torch.device("cpu"))
    stage = config.stage.build()
    task = RestorationTask(config, stage, Inside(Training.resolve(config).route, torch.device("cpu")), teacher)
    task.log = task.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    degraded = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        by_teacher, by_student = teacher(degraded, degraded), stage(degraded)
    clean = torch.stack([by_teacher[0], by_student[1]])  # the teacher is better on one crop, worse on the other
    loss = task.training_step((degraded, clean), 0)
    assert loss.item() == pytest.approx((by_student - clean).abs().mean().item(), rel=1e-5)

    clean = (3 * by_teacher - by_student) / 2  # better on both, and in between
    loss = task.training_step((degraded, clean), 0)
    to_clean, to_teacher = ((by_student - target).abs().mean().item() for target in (clean, by_teacher))
    assert loss.item() == pytest.approx(0.75 * to_clean + 0.25 * to_teacher, rel=1e-5)
    loss.backward()
    assert not teacher.stage.training
    assert not any(parameter.requires_grad for parameter in teacher.stage.parameters())
    assert {name.partition(".")[0] for name, _ in task.named_parameters()} == {"stage"}


def test_a_teacher_that_takes_the_noise_level_is_given_the_true_one(tmp_path: Path) -> None:
    options = {"noise_level_input": True, "noise_level": 15.0, "batch_norm": False}
    path = write(tmp_path, DnCNNConfig(depth=3, width=4, **options))
    teacher = Teacher(TeacherConfig(stage="dncnn", weights=path), torch.device("cpu"))
    clean = torch.full((2, 3, 8, 8), 0.5)
    degraded = clean + torch.tensor([10 / 255, 40 / 255]).view(2, 1, 1, 1)
    knowing = [DnCNNConfig(depth=3, width=4, **(options | {"noise_level": level})).build().eval() for level in (10, 40)]
    for stage in knowing:
        load_weights(stage, path)
    with torch.no_grad():
        expected = torch.cat([stage(image[None]).clamp(0, 1) for stage, image in zip(knowing, degraded, strict=True)])
    torch.testing.assert_close(teacher(degraded, clean), expected)


def test_a_resumed_run_equals_the_one_without_interruption(
    config: TrainingConfig, files: tuple[Files, Files], teacher_file: Path, tmp_path: Path
) -> None:
    config = taught(config, teacher_file)
    whole = weights_of(fitted(config, files, tmp_path / "whole", max_epochs=2))
    fitted(config, files, tmp_path / "parts", max_epochs=1)
    resumed = weights_of(fitted(config, files, tmp_path / "parts", max_epochs=2, resume=True))
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (EDSRConfig(depth=1, width=4), r"teacher\.weights: .* upscales by 2, expected 1, as the trained stage does"),
        (
            UNetConfig(width=2, levels=6),
            r"takes multiples of 32 pixels, but the degraded crops have 16x16",
        ),
    ],
)
def test_a_teacher_of_other_sizes_is_refused(
    config: TrainingConfig, tmp_path: Path, teacher: LearnedStageConfig, message: str
) -> None:
    path = write(tmp_path, teacher)
    with pytest.raises(ConfigError, match=message):
        Training.resolve(taught(config, path, stage=teacher.stage))


def test_a_teacher_of_another_stage_is_refused(config: TrainingConfig, teacher_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.stage: got unet, but .*teacher\.safetensors holds dncnn"):
        Training.resolve(taught(config, teacher_file, stage="unet"))


def test_published_weights_teach_by_their_name() -> None:
    teacher = TeacherConfig.model_validate_json('{"stage": "smfanet", "weights": "smfanet_plus_x2"}')
    assert "Zheng et al." in teacher.card.origin


def test_shipped_weights_teach_by_their_name() -> None:
    teacher = TeacherConfig.model_validate_json('{"stage": "edsr", "weights": "upscale_x2"}')
    assert teacher.card.config["stage"] == "edsr"
