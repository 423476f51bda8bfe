from pathlib import Path

import pytest
import torch

from stages.concat_unet import ConcatUNetConfig
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.errors import WeightsError
from stages.registry import load_stage
from stages.stage import LearnedStageConfig
from stages.unet import UNetConfig
from stages.weights import Card, read_card, save_weights
from tests.train.command_line import main
from train.grow import widen_weights

PLAIN = DnCNNConfig(depth=4, width=4, batch_norm=False)
NORMALISED = DnCNNConfig(depth=4, width=4)
RESIDUAL = DnCNNConfig(depth=6, width=4, batch_norm=False, skips=True, unshuffle=2)
SHUFFLED = EDSRConfig(scale=2, width=4, depth=2)
U_NET = UNetConfig(width=4, levels=3, unshuffle=2, residual=True)


def written(config: LearnedStageConfig, path: Path) -> Path:
    stage = config.build()
    for tensor in stage.parameters():
        torch.nn.init.normal_(tensor, std=0.1)  # last layers too, which begin at zero
    save_weights(path, stage, Card(config={"stage": config.stage, **config.architecture()}))
    return path


@pytest.mark.parametrize(
    "config",
    [PLAIN, NORMALISED, RESIDUAL, SHUFFLED, U_NET],
    ids=["plain", "normalised", "residual", "shuffled", "u-net"],
)
def test_grown_network_answers_as_the_narrow_one_and_can_learn(config: LearnedStageConfig, tmp_path: Path) -> None:
    narrow = written(config, tmp_path / "narrow.safetensors")
    widen_weights(narrow, tmp_path / "wide.safetensors", width=7)
    wide = load_stage(tmp_path / "wide.safetensors")
    image = torch.rand(2, 3, 16, 24)
    assert torch.allclose(wide(image), load_stage(narrow)(image), atol=1e-5)
    assert read_card(tmp_path / "wide.safetensors").config["width"] == 7
    wide(image).square().mean().backward()
    last = [tensor for name, tensor in wide.named_parameters() if name.endswith("weight")][-1]
    assert last.grad is not None
    assert last.grad[:, 4:].abs().max() > 0, "the new channels are not trained"


def test_network_that_joins_channels_is_refused(tmp_path: Path) -> None:
    narrow = written(ConcatUNetConfig(width=4), tmp_path / "narrow.safetensors")
    with pytest.raises(WeightsError, match="concat_unet of width 8 would answer differently"):
        widen_weights(narrow, tmp_path / "wide.safetensors", width=8)
    assert not (tmp_path / "wide.safetensors").exists()


def test_width_must_be_larger(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its width is 4"):
        widen_weights(written(PLAIN, tmp_path / "narrow.safetensors"), tmp_path / "wide.safetensors", width=4)


def test_shipped_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = tmp_path / "wide.safetensors"
    monkeypatch.setattr("sys.argv", ["train", "grow", "deblur_mild_fast", "-o", str(wide), "--width", "26"])
    assert main() == 0
    assert read_card(wide).config["width"] == 26
