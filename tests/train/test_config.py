from pathlib import Path

import pytest
import torch

from pipeline.chain.yaml_validation import read_yaml
from pipeline.errors import ConfigError
from stages.profile import count_parameters
from stages.registry import STAGES
from stages.stage import LearnedStageConfig
from train.cli.options import CONFIGS
from train.config import TrainingConfig, read_config
from train.training import read_training

CONFIGS_OF_OTHER_NAMES = {"single_image": "deblurnet"}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path: Path) -> None:
    stage = read_training(path).config.stage.stage
    assert CONFIGS_OF_OTHER_NAMES.get(path.stem, path.stem).startswith(stage)


def test_every_learned_stage_has_a_configuration() -> None:
    learned = {tag for tag, config in STAGES.items() if issubclass(config, LearnedStageConfig)}
    assert learned <= {path.stem for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize(
    ("name", "parameters"), [("dncnn_17", 557_443), ("dncnn_20", 668_227), ("edsr_large", 40_729_603)]
)
def test_papers_networks_have_the_papers_sizes(name: str, parameters: int) -> None:
    """CDnCNN-S and CDnCNN-B with batch norm folded, as published, and EDSR's 40.7 M."""
    with torch.device("meta"):
        stage = read_training(CONFIGS / f"{name}.yaml").config.stage.build().eval().fuse()
    assert count_parameters(stage) == parameters


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "stage: {stage: dncnn, depth: deep}\n"
        "trained_for: noise\n"
        "degradation:\n"
        "  - {kind: gausian_noise, sigma: [0.0, 55.0]}\n"
        "los: l1\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, TrainingConfig)
    lines = str(caught.value).splitlines()
    places = [line.split(": ")[0].rpartition("/")[2] for line in lines]
    assert places == [
        "wrong.yaml:1",
        "wrong.yaml:4",
        "wrong.yaml:5",
    ]


COMPACT = Path(__file__).parents[1] / "stages" / "data" / "compact_x2.safetensors"

CONFIG = """
stage: {stage: edsr, scale: 2, width: 8, depth: 1}
trained_for: upscaling
degradation:
  - {kind: downscale, factor: 2}
data: {crop_size: 16}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    (tmp_path / "training.yaml").write_text(CONFIG)
    return tmp_path / "training.yaml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stage={stage: unsharp_mask, sigma: 1.0, amount: 0.5}", "stage: unsharp_mask has nothing to train"),
        (f"stage={{stage: spandrel, weights: {COMPACT}}}", "stage: spandrel has nothing to train"),
        ("stage.scale=3", "degradation: downscales by 2, but the stage upscales by 3"),
        ("pair_degradation=[{kind: downscale, factor: 2}]", "pair_degradation: must not downscale"),
        ("clean_degradation=[{kind: downscale, factor: 2}]", "clean_degradation: must not downscale"),
        ("data.crop_size=17", "data.crop_size: got 17, expected a multiple of 2"),
    ],
)
def test_parts_that_do_not_fit_are_reported(config_file: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_training(config_file, [change])
    assert message in str(caught.value)


def test_values_are_changed_as_if_the_file_said_so(config_file: Path) -> None:
    changes = [
        "learning_rate=1e-4",
        "data.batch_size=3",
        "schedule.kind=cosine",
        "degradation.0.factor=4",
        "stage.scale=4",
    ]
    config = read_config(config_file, changes)
    assert (config.learning_rate, config.data.batch_size, config.schedule.kind, config.scale) == (1e-4, 3, "cosine", 4)
    assert read_config(config_file).data.batch_size == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.batch_size=0", ":6: data.batch_size: got 0, expected at least 1 (with --set data.batch_size=0)"),
        ("data.bach_size=3", "unknown key; did you mean 'batch_size'?"),
        ("data.batch=3", "set: data.batch was renamed; did you mean 'batch_size'?"),
        ("rate=3", "set: rate was renamed; did you mean 'learning_rate'?"),
        ("optimizer=muno", "unknown optimizer 'muno'; did you mean 'muon'?"),
        ("degradation.5.factor=2", "set: degradation.5.factor=2: the file has no such place"),
        ("learning_rate.x=2", "got `key: value` lines, expected a number (with --set learning_rate.x=2)"),
        ("data.crop_size.x=2", "set: data.crop_size.x=2: the file has no such place"),
        ("seed", "set: got 'seed', expected KEY=VALUE"),
        ("learning_rate=[1", "set: learning_rate=[1: '[1' is not YAML"),
    ],
)
def test_errors_in_changes_are_reported(config_file: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_training(config_file, [change])
    assert message in str(caught.value)


def test_errors_of_the_file_are_not_blamed_on_changes(config_file: Path) -> None:
    config_file.write_text(CONFIG.replace("crop_size: 16", "crop_size: 4"))
    with pytest.raises(ConfigError) as caught:
        read_training(config_file, ["learning_rate=-1"])
    by_file, by_change = sorted(str(caught.value).splitlines(), key=len)
    assert by_file.endswith("data.crop_size: got 4, expected at least 8")
    assert "got -1, expected more than 0 (with --set learning_rate=-1)" in by_change


def test_old_keys_are_answered_with_the_new_ones(config_file: Path) -> None:
    config_file.write_text(CONFIG.replace("crop_size: 16", "crop: 16") + "rate: 0.1\nema: 0.9\n")
    with pytest.raises(ConfigError) as caught:
        read_training(config_file)
    assert [line.partition("training.yaml:")[2] for line in str(caught.value).splitlines()] == [
        "6: data.crop: was renamed; did you mean 'crop_size'?",
        "7: rate: was renamed; did you mean 'learning_rate'?",
        "8: ema: was renamed; did you mean 'ema_decay'?",
    ]


def test_without_a_budget_the_schedule_is_plateau_and_with_one_cosine() -> None:
    schedule = read_config(CONFIGS / "unet.yaml").schedule
    assert schedule.resolved(has_budget=False) == "plateau"
    assert schedule.resolved(has_budget=True) == "cosine"
    fixed = schedule.model_copy(update={"kind": "plateau"})
    assert fixed.resolved(has_budget=True) == "plateau"
