from pathlib import Path

import pytest
import torch

from pipeline.chain.yaml_validation import read_yaml
from pipeline.errors import ConfigError
from stages.profile import count_parameters
from stages.registry import STAGES
from stages.stage import LearnedStageConfig
from train.commands import CONFIGS
from train.config import TrainingConfig, read_training

RECIPES_OF_OTHER_NAMES = {"single_image": "deblurnet"}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    stage = read_training(path).stage.stage
    assert RECIPES_OF_OTHER_NAMES.get(path.stem, path.stem).startswith(stage)


def test_every_learned_stage_has_a_recipe() -> None:
    learned = {tag for tag, config in STAGES.items() if issubclass(config, LearnedStageConfig)}
    assert learned <= {path.stem for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize(
    ("name", "parameters"), [("dncnn_17", 557_443), ("dncnn_20", 668_227), ("edsr_large", 40_729_603)]
)
def test_papers_networks_have_the_papers_sizes(name: str, parameters: int) -> None:
    """CDnCNN-S and CDnCNN-B with batch norm folded, as published, and EDSR's 40.7 M."""
    with torch.device("meta"):
        stage = read_training(CONFIGS / f"{name}.yaml").stage.build().eval().fuse()
    assert count_parameters(stage) == parameters


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
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

RECIPE = """
stage: {stage: edsr, scale: 2, width: 8, depth: 1}
trained_for: enlarging
degradation:
  - {kind: downscale, factor: 2}
data: {crop: 16}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stage={stage: unsharp_mask, sigma: 1.0, amount: 0.5}", "stage: unsharp_mask has nothing to learn"),
        (f"stage={{stage: spandrel, weights: {COMPACT}}}", "stage: spandrel has nothing to learn"),
        ("stage.scale=3", "degradation: shrinks images by 2, but the stage enlarges by 3"),
        ("pair_degradation=[{kind: downscale, factor: 2}]", "pair_degradation: must not shrink"),
        ("data.crop=17", "data.crop: got 17, expected a multiple of 2"),
    ],
)
def test_parts_that_do_not_fit_are_told(recipe: Path, change: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_training(recipe, [change])
    assert told in str(caught.value)


def test_values_are_changed_as_if_the_file_said_so(recipe: Path) -> None:
    changes = ["rate=1e-4", "data.batch=3", "schedule.kind=cosine", "degradation.0.factor=4", "stage.scale=4"]
    config = read_training(recipe, changes)
    assert (config.rate, config.data.batch, config.schedule.kind, config.scale) == (1e-4, 3, "cosine", 4)
    assert read_training(recipe).data.batch == 16


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data.batch=0", "recipe.yaml:6: data: got 0, expected at least 1 (with --set data.batch=0)"),
        ("data.bach=3", "unknown key; did you mean 'batch'?"),
        ("degradation.5.factor=2", "--set degradation.5.factor=2: the file has no such place"),
        ("rate.x=2", "got `key: value` lines, expected a number (with --set rate.x=2)"),
        ("data.crop.x=2", "--set data.crop.x=2: the file has no such place"),
        ("rate", "--set rate: expected KEY=VALUE"),
        ("rate=[1", "--set rate=[1: '[1' is not YAML"),
    ],
)
def test_mistakes_in_changes_are_told(recipe: Path, change: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_training(recipe, [change])
    assert told in str(caught.value)


def test_mistakes_of_the_file_are_not_blamed_on_changes(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("crop: 16", "crop: 4"))
    with pytest.raises(ConfigError) as caught:
        read_training(recipe, ["rate=-1"])
    by_file, by_change = sorted(str(caught.value).splitlines(), key=len)
    assert by_file.endswith("data.crop: got 4, expected at least 8")
    assert "got -1, expected more than 0 (with --set rate=-1)" in by_change
