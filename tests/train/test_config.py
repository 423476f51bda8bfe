from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.yaml_config import read_yaml
from stages.registry import STAGES
from stages.stage import LearnedStageConfig
from train.__main__ import CONFIGS
from train.config import TrainingConfig


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    config = read_yaml(path, TrainingConfig)
    assert config.stage.stage == path.stem
    assert config.data.crop % config.stage.build().multiple_of == 0


def test_every_learned_stage_has_a_recipe() -> None:
    learned = {tag for tag, config in STAGES.items() if issubclass(config, LearnedStageConfig)}
    assert learned == {path.stem for path in CONFIGS.glob("*.yaml")}


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
