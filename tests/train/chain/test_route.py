"""The chain determines which stages a training image goes through; what does not fit is refused before any work."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from stages.registry import STAGES
from stages.weights import Card, save_weights
from train.chain.route import Route
from train.config import TrainingConfig
from train.training import Training, read_training

CHAIN = """
stages:
  - {stage: dncnn, weights: tiny.safetensors, strength: 0.5}
  - {stage: edsr, scale: 2, weights: not_yet.safetensors}
  - {stage: unsharp_mask}
  - {stage: dncnn, weights: not_yet_2.safetensors}
"""

CONFIG = """
stage: {stage: edsr, scale: 2, width: 8, depth: 1}
trained_for: upscaling
degradation:
  - {kind: downscale, factor: 2}
chain: {file: chain.yaml}
data: {crop_size: 16}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    tiny = STAGES["dncnn"](depth=3, width=4, unshuffle=2)
    card = Card(config={"stage": "dncnn", **tiny.architecture()})
    save_weights(tmp_path / "tiny.safetensors", tiny.build(), card)
    write_chain(tmp_path, CHAIN.rpartition("  - ")[0])
    (tmp_path / "training.yaml").write_text(CONFIG)
    return tmp_path / "training.yaml"


def write_chain(folder: Path, text: str) -> None:
    (folder / "chain.yaml").write_text(text)


def test_a_stage_without_weights_yet_is_trained_behind_those_before_it(config_file: Path) -> None:
    route = read_training(config_file).route
    assert (route.chain.names, route.index) == (("dncnn", "edsr"), 1)
    assert [stage.strength for stage in route.chain.stages] == [0.5, 1]
    assert (route.scale, route.multiple_of) == (2, 2)
    assert route.note() == "; behind dncnn (tiny)"


def test_the_result_of_the_chain_can_be_compared(config_file: Path) -> None:
    route = read_training(config_file, ["chain.loss_on=chain"]).route
    assert route.chain.names == ("dncnn", "edsr", "unsharp_mask")
    assert route.note() == "; behind dncnn (tiny); compared after unsharp_mask"


def test_alone_there_is_nothing_around(config: TrainingConfig) -> None:
    training = Training.resolve(config)
    assert (training.route.chain.names, training.route.margin, training.route.note()) == (("dncnn",), 0, "")
    assert training.widened() == config


def test_the_margin_is_the_halo_of_the_stages_before(config_file: Path) -> None:
    training = read_training(config_file)
    assert training.route.margin == 8  # a halo of 7, on the grid of 2
    assert training.widened().data.crop_size == 16 + 2 * 8 * 2
    deep = STAGES["dncnn"](depth=20, width=4)
    stages = (deep, *training.route.chain.stages)
    route = Route.through(training.route.chain.model_copy(update={"stages": stages}), 2)
    assert route.margin == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["chain.stage=esdr"], "the chain has no stage 'esdr'; did you mean 'edsr'? Its stages: dncnn, edsr, unsharp"),
        (["stage.scale=4"], "chain: chain.yaml: edsr says scale: 2, but `stage:` has 4; make them agree"),
        (["degradation=[]"], "degradation: downscales by 1, but dncnn, edsr upscale by 2"),
        (["data.crop_size=18"], "data.crop_size: got 18, expected a multiple of 4 for dncnn, edsr"),
        (["chain.file=none.yaml"], "no such file: "),
        (["chain.loss_on=all"], "got 'all', expected 'stage' or 'chain'"),
    ],
)
def test_what_does_not_fit_is_reported(config_file: Path, changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_training(config_file, changes)
    assert message in str(caught.value)


def test_only_stages_that_run_need_weights(config_file: Path) -> None:
    write_chain(config_file.parent, CHAIN)
    assert read_training(config_file).route.chain.names == ("dncnn", "edsr")
    with pytest.raises(ConfigError, match=r"chain.yaml:6: stages.3.weights: no weights 'not_yet_2"):
        read_training(config_file, ["chain.loss_on=chain"])
    with pytest.raises(ConfigError, match=r"chain.yaml:4: stages.1.weights: no weights 'not_yet"):
        read_training(config_file, ["chain.stage=dncnn_2", "stage={stage: dncnn, depth: 4, width: 8}"])


def test_one_of_several_of_a_kind_is_named(config_file: Path) -> None:
    write_chain(config_file.parent, CHAIN.replace("  - {stage: edsr, scale: 2, weights: not_yet.safetensors}\n", ""))
    small = ["stage={stage: dncnn, depth: 4, width: 8}", "degradation=[]"]
    route = read_training(config_file, [*small, "chain.stage=dncnn_2"]).route
    assert (route.index, route.chain.stages[2].architecture()["depth"]) == (2, 4)
    assert read_training(config_file, small).route.index == 0
    with pytest.raises(ConfigError, match=r"chain: chain.yaml: dncnn_2 is dncnn, but `stage:` is edsr"):
        read_training(config_file, ["chain.stage=dncnn_2"])
