import re
import sys

import pytest
import torch

from stages.encoder_unet import EncoderUNetConfig
from stages.errors import WeightsError
from stages.extras import install_hint
from stages.profile import count_parameters


@pytest.mark.parametrize(
    ("encoder", "published", "classifier"),
    [("vgg19_bn", 143_678_248, 123_642_856), ("efficientnet-b4", 19_341_616, 1_793_000)],
)
def test_encoders_have_the_published_size(encoder: str, published: int, classifier: int) -> None:
    """Of torchvision and of Tan and Le, less the classifier (and for B4 the convolution to its 1792 channels)."""
    with torch.device("meta"):
        stage = EncoderUNetConfig(encoder=encoder).build()
    head = 448 * 1792 + 2 * 1792 if encoder == "efficientnet-b4" else 0
    assert count_parameters(stage.network.encoder) == published - classifier - head


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(EncoderUNetConfig(width=1).build().eval()(image), image)


def test_halo_of_vgg19_is_what_it_reaches() -> None:
    """On a strip, as the network is large, and from row 33, which the cells of all levels let see furthest."""
    with torch.device("meta"):
        stage = EncoderUNetConfig(encoder="vgg19_bn", width=1).build().eval()
    for tensor in (*stage.to_empty(device="cpu").parameters(), *stage.buffers()):
        tensor.data.fill_(0.01)  # drawing twenty million weights takes longer than running them
    strip = torch.rand(1, 3, 352, 32)
    strip[..., 33 + stage.halo, :] = torch.nan
    moved = stage(strip).isnan().any(dim=(0, 1, 3)).nonzero()
    assert int(moved.min()) == 33


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(WeightsError, match=f"needs segmentation-models-pytorch .*{re.escape(install_hint('zoo'))}"):
        EncoderUNetConfig().build()
