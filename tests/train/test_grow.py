from pathlib import Path

import pytest
import torch

from pipeline.errors import ConfigError
from stages.concat_unet import ConcatUNetConfig
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.errors import WeightsError
from stages.registry import load_stage
from stages.stage import LearnedStageConfig
from stages.unet import UNetConfig
from stages.weights import Card, read_card, save_weights
from tests.train.command_line import main
from train.grow import grow_weights, join_weights

PLAIN = DnCNNConfig(depth=4, width=4, batch_norm=False)
NORMALISED = DnCNNConfig(depth=4, width=4)
RESIDUAL = DnCNNConfig(depth=6, width=4, batch_norm=False, skips=True, unshuffle=2)
SHUFFLED = EDSRConfig(scale=2, width=4, depth=2)
LEVEL = {"noise_level_input": True, "estimator": 2}
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
    grow_weights(narrow, tmp_path / "wide.safetensors", width=7)
    wide = load_stage(tmp_path / "wide.safetensors")
    image = torch.rand(2, 3, 16, 24)
    assert torch.allclose(wide(image), load_stage(narrow)(image), atol=1e-5)
    assert read_card(tmp_path / "wide.safetensors").config["width"] == 7
    wide(image).square().mean().backward()
    last = [tensor for name, tensor in wide.named_parameters() if name.endswith("weight")][-1]
    assert last.grad is not None
    assert last.grad[:, 4:].abs().max() > 0, "the new channels are not trained"


def test_denoiser_takes_the_noise_level_and_answers_as_before(tmp_path: Path) -> None:
    blind = written(RESIDUAL, tmp_path / "blind.safetensors")
    changes = grow_weights(blind, tmp_path / "grown.safetensors", width=6, estimator=3)
    assert changes == {"width": 6, "noise_level_input": True, "estimator": 3}
    grown = load_stage(tmp_path / "grown.safetensors")
    image = torch.rand(2, 3, 16, 24)
    assert torch.allclose(grown(image), load_stage(blind)(image), atol=1e-5)
    grown(image).square().mean().backward()
    level = grown.model[0].weight.grad[:, -1]
    assert level.abs().max() > 0, "the new input is not trained"


@pytest.mark.parametrize(
    ("config", "message"),
    [(SHUFFLED, "stage edsr takes no noise level"), (PLAIN.model_copy(update=LEVEL), "takes a noise level already")],
    ids=["no denoiser", "takes one already"],
)
def test_what_takes_no_noise_level_is_refused(config: LearnedStageConfig, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        grow_weights(written(config, tmp_path / "small.safetensors"), tmp_path / "grown.safetensors", estimator=3)
    assert not (tmp_path / "grown.safetensors").exists()


@pytest.mark.parametrize(("before", "after"), [(4, 12), (12, 16)])
def test_width_that_changes_the_layers_is_refused(before: int, after: int, tmp_path: Path) -> None:
    """The first block of 12 channels reads the 12 planes of the image, and adds them as they are."""
    small = written(U_NET.model_copy(update={"width": before}), tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match=r"another network, with or without encoder.0.project.bias, "):
        grow_weights(small, tmp_path / "grown.safetensors", width=after)


def test_something_must_grow(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got neither width nor estimator"):
        grow_weights(written(PLAIN, tmp_path / "small.safetensors"), tmp_path / "grown.safetensors")


def test_network_that_joins_channels_is_refused(tmp_path: Path) -> None:
    narrow = written(ConcatUNetConfig(width=4), tmp_path / "narrow.safetensors")
    with pytest.raises(WeightsError, match="concat_unet of width 8 would answer differently"):
        grow_weights(narrow, tmp_path / "wide.safetensors", width=8)
    assert not (tmp_path / "wide.safetensors").exists()


def test_width_must_be_larger(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its width is 4"):
        grow_weights(written(PLAIN, tmp_path / "narrow.safetensors"), tmp_path / "wide.safetensors", width=4)


def test_shipped_weights_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = tmp_path / "grown.safetensors"
    monkeypatch.setattr("sys.argv", ["train", "grow", "denoise_blind_fast", "-o", str(grown), "--estimator", "4"])
    assert main() == 0
    assert read_card(grown).config["estimator"] == 4
    options = "stage.noise_level_input=true stage.estimator=4"
    assert capsys.readouterr().out == f"{grown}: train it by `--init {grown} --set {options}`\n"


def test_joined_u_nets_answer_as_their_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = written(U_NET, tmp_path / "fine.safetensors")
    card = read_card(fine)
    del card.config["normalize"]  # as of weights from before there was that option
    save_weights(fine, load_stage(fine), card)
    coarse = written(UNetConfig(width=3, levels=3, unshuffle=4, residual=True), tmp_path / "coarse.safetensors")
    joined = tmp_path / "joined.safetensors"
    monkeypatch.setattr("sys.argv", ["train", "grow", str(fine), "--coarse", str(coarse), "-o", str(joined)])
    assert main() == 0
    image = torch.rand(1, 3, 32, 48)
    mean = (load_stage(fine)(image) + load_stage(coarse)(image)) / 2
    torch.testing.assert_close(load_stage(joined)(image), mean)
    assert read_card(joined).config["coarse_width"] == 3


def test_u_nets_of_other_kinds_are_not_joined(tmp_path: Path) -> None:
    fine = written(U_NET, tmp_path / "fine.safetensors")
    with pytest.raises(WeightsError, match=r"'unshuffle': 2.*expected a unet with.*'unshuffle': 4"):
        join_weights(fine, written(U_NET, tmp_path / "same.safetensors"), tmp_path / "joined.safetensors")
    assert not (tmp_path / "joined.safetensors").exists()
