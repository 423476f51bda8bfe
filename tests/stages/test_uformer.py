import pytest
import torch
from pydantic import ValidationError
from torch import nn

from stages.profile import count_parameters
from stages.uformer import UformerConfig, join_windows, split_windows


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        (UformerConfig(width=16, depths=[2] * 9, modulator=False), 5.23),
        (UformerConfig(width=32, depths=[2] * 9, modulator=False), 20.63),
        (UformerConfig(), 50.88),
    ],
    ids=["T", "S", "B"],
)
def test_parameters_of_the_three_sizes(config: UformerConfig, millions: float) -> None:
    """Wang et al.: 5.23 M, 20.63 M and 50.88 M; the modulators are counted in B only."""
    with torch.device("meta"):
        stage = config.build()
    assert round(count_parameters(stage) / 1e6, 2) == millions


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 16, 24)
    assert torch.equal(UformerConfig(width=4, depths=[1, 2, 1], window=4).build()(image), image)


def test_without_shift_in_the_middle_it_is_the_authors_network_for_small_crops() -> None:
    """Theirs leaves the shift out where the crop of training has no more than one window in the middle."""
    from spandrel.architectures.Uformer import Uformer

    depths = [1, 1, 1, 1, 2, 1, 1, 1, 1]
    peer = Uformer(img_size=128, embed_dim=4, depths=depths).eval()
    for parameter in peer.parameters():
        nn.init.normal_(parameter, std=0.1)
    image = torch.rand(1, 3, 128, 128)
    results = {}
    for middle_shift in (False, True):
        stage = UformerConfig(width=4, depths=depths, modulator=False, middle_shift=middle_shift).build()
        stage.load_state_dict(peer.state_dict())
        with torch.inference_mode():
            results[middle_shift] = (stage(image) - peer(image)).abs().max()
    assert results[False] <= 1e-5 < results[True]


def test_windows_are_joined_as_they_were_split() -> None:
    features = torch.rand(2, 8, 12, 3)
    windows = split_windows(features, 4)
    torch.testing.assert_close(windows[1, 2], features[1, :4, 8:].reshape(16, 3))
    assert torch.equal(join_windows(windows, 4, 8, 12), features)


@pytest.mark.parametrize("depths", [[2], [1, 1], [1, -1, 1]])
def test_depths_that_make_no_u_are_refused(depths: list[int]) -> None:
    with pytest.raises(ValidationError, match="expected an odd count of at least 3"):
        UformerConfig(depths=depths)
