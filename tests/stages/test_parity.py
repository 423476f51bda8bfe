"""Our networks against spandrel's own implementations of them, with the same random weights."""

import pytest
import torch
from torch import nn

from stages.dncnn import DnCNNConfig
from stages.nafnet import NAFNetConfig
from stages.stage import StageConfig
from stages.uformer import UformerConfig

CONFIGS: dict[str, StageConfig] = {
    "dncnn": DnCNNConfig(depth=9, width=8),
    "dncnn-gray": DnCNNConfig(depth=8, width=8, channels=1, batch_norm=False),
    "nafnet": NAFNetConfig(width=8, encoder_blocks=[1, 2, 1], middle_blocks=2, decoder_blocks=[2, 1, 1]),
    "uformer": UformerConfig(width=4, depths=[1, 2, 1, 2, 2, 1, 2, 1, 1]),
    "uformer-plain": UformerConfig(width=4, depths=[2, 1, 1, 1, 1, 1, 1, 1, 2], modulator=False),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_spandrel_recognises_the_weights_and_makes_the_same_image(name: str) -> None:
    from spandrel import ModelLoader

    stage = CONFIGS[name].build().eval()
    for parameter in stage.parameters():
        nn.init.normal_(parameter, std=0.1)
    stage.fuse()
    peer = ModelLoader().load_from_state_dict(stage.state_dict()).model.eval()
    channels = getattr(stage, "channels", 3)
    image = torch.rand(1, channels, 128, 128)
    with torch.inference_mode():
        ours, theirs = stage(image), peer(image)
    assert (theirs - image).abs().max() > 0.05
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
