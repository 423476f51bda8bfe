from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import ConfigError
from stages.encoder_unet import EncoderUNet, EncoderUNetConfig
from stages.errors import WeightsError
from train.config import read_config
from train.pretrained import Pretrained


@pytest.fixture
def stage() -> EncoderUNet:
    return EncoderUNetConfig(width=1).build()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_published_file_fills_the_encoder_and_its_classifier_is_left_out(
    stage: EncoderUNet, tmp_path: Path, suffix: str
) -> None:
    published = {name: torch.randn_like(tensor.float()) for name, tensor in stage.network.encoder.state_dict().items()}
    content = published | {"_fc.weight": torch.rand(3, 3)}
    path = tmp_path / f"published{suffix}"
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    Pretrained(weights=path).load_into(stage)
    assert torch.equal(stage.network.encoder._conv_stem.weight, published["_conv_stem.weight"])


def test_another_networks_file_is_refused(stage: EncoderUNet, mobilenet: Path) -> None:
    with pytest.raises(WeightsError, match="expected to hold efficientnet-b4, does not fit"):
        Pretrained(weights=mobilenet).load_into(stage)


def test_without_internet_the_solution_is_reported(stage: EncoderUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(WeightsError, match=r"(?s)cannot be downloaded.*pretrained\.weights=FILE.*pretrained=null"):
        Pretrained().load_into(stage)


def test_only_an_encoder_can_be_pretrained(tmp_path: Path) -> None:
    config_file = tmp_path / "training.yaml"
    config_file.write_text("stage: {stage: unet}\ntrained_for: blur\ndegradation: []\npretrained: {kind: imagenet}\n")
    with pytest.raises(ConfigError, match="pretrained: unet has no encoder with published weights"):
        read_config(config_file)
