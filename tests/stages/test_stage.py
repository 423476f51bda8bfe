from pathlib import Path

import pytest
import torch

from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.layers import IMAGENET_DEVIATION, IMAGENET_MEAN, bicubic_upscale
from stages.nafnet import NAFNetConfig
from stages.registry import config_from, load_stage
from stages.stage import LearnedStageConfig, Normalized
from stages.unet import UNetConfig
from stages.weights import Card, load_weights, read_card, save_weights

STARTING_AS_THE_IDENTITY = {
    "dncnn": DnCNNConfig(depth=4, width=4, skips=True, batch_norm=False, normalize="imagenet"),
    "nafnet": NAFNetConfig(width=4, encoder_blocks=[1], decoder_blocks=[1], normalize="imagenet"),
    "unet": UNetConfig(width=4, levels=2, normalize="imagenet"),
    "edsr": EDSRConfig(width=4, depth=1, bicubic_skip=True, normalize="imagenet"),
}


@pytest.mark.parametrize("config", STARTING_AS_THE_IDENTITY.values(), ids=STARTING_AS_THE_IDENTITY.keys())
def test_normalized_networks_start_as_the_identity(config: LearnedStageConfig) -> None:
    image = torch.rand(2, 3, 8, 8)
    stage = config.build()
    torch.testing.assert_close(stage(image), bicubic_upscale(image, stage.scale), atol=1e-6, rtol=0)


def test_the_network_is_given_normalized_colors_and_its_result_is_mapped_back() -> None:
    stage = UNetConfig(width=4, levels=2, residual=True, normalize="imagenet").build()
    torch.nn.init.normal_(stage.network.tail.weight)
    image = torch.rand(1, 3, 8, 8)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    expected = stage.network((image - mean) / deviation) * deviation + mean
    assert torch.equal(stage(image), expected)
    assert not torch.allclose(stage(image), stage.network(image), atol=1e-3)


def test_what_the_pipeline_and_growth_ask_of_a_stage_is_the_network_s() -> None:
    config = UNetConfig(width=4, levels=3, residual=True, normalize="imagenet")
    stage = config.build()
    assert isinstance(stage, Normalized)
    assert (stage.scale, stage.multiple_of, stage.halo) == (1, 4, stage.network.halo)
    assert stage.joined <= dict(stage.named_modules()).keys()
    assert stage.joined


def test_a_weights_file_holds_the_network_s_names_and_its_card_the_normalization(tmp_path: Path) -> None:
    config = DnCNNConfig(depth=3, width=4, normalize="imagenet")
    stage = config.build().eval()
    save_weights(tmp_path / "w.safetensors", stage, Card(config={"stage": "dncnn", **config.architecture()}))
    assert config_from(read_card(tmp_path / "w.safetensors")) == config
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(load_stage(tmp_path / "w.safetensors")(image), stage(image), atol=1e-5, rtol=0)
    plain = DnCNNConfig(depth=3, width=4).build().eval()
    load_weights(plain, tmp_path / "w.safetensors")
    assert torch.equal(plain(image), stage.network(image))


def test_without_normalization_nothing_that_is_written_changes() -> None:
    """Fingerprints are made of what a config writes; cards from before the option lack it."""
    config = DnCNNConfig(depth=3)
    assert "normalize" not in config.model_dump()
    assert "normalize" not in config.model_dump_json()
    assert DnCNNConfig(depth=3, normalize="imagenet").model_dump()["normalize"] == "imagenet"
    assert not isinstance(config.build(), Normalized)
    old = {key: value for key, value in config.architecture().items() if key != "normalize"}
    assert config_from(Card(config={"stage": "dncnn", **old})) == config


def test_normalization_is_part_of_what_weights_must_agree_with() -> None:
    with_it, without = (DnCNNConfig(normalize=kind).architecture() for kind in ("imagenet", "none"))
    assert with_it != without
