import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from stages.nafnet import LocalMean, NAFNetConfig, window_sums
from stages.profile import count_macs, count_parameters

SMALL = NAFNetConfig(width=4, encoder_blocks=[1, 1], decoder_blocks=[1, 1])


@pytest.mark.parametrize(("width", "millions"), [(32, 17.11), (64, 67.89)])
def test_parameters_of_the_networks_for_gopro(width: int, millions: float) -> None:
    """Chen et al., the two sizes published for GoPro: 17.11 M and 67.89 M."""
    with torch.device("meta"):
        stage = NAFNetConfig(width=width).build()
    assert round(count_parameters(stage) / 1e6, 2) == millions


def test_macs_of_the_network_for_gopro() -> None:
    """Chen et al.: 16 G for 32 channels on 256x256."""
    assert round(count_macs(NAFNetConfig(), 256, 256) / 1e9) == 16


def test_starts_as_the_identity() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(SMALL.build()(image), image)


@pytest.mark.parametrize("window", [1, 2, 5, 6, 8])
def test_window_sums_are_moving_averages(window: int) -> None:
    values = torch.rand(1, 2, 9, 11)
    expected = window * F.avg_pool2d(values, (1, window), stride=1)
    torch.testing.assert_close(window_sums(values, window, dim=-1), expected)


@pytest.mark.parametrize("window", [4, 5, 10, 11])
def test_local_mean_is_that_of_the_authors(window: int) -> None:
    """Chu et al., TLC: means of the windows that lie within the image; the outermost are repeated to the border."""
    features = torch.rand(1, 2, 10, 12)
    height, width = min(window, 10), window
    inner = F.avg_pool2d(features, (height, width), stride=1)
    rows = torch.arange(10).sub((height - 1) // 2).clamp(0, 10 - height)
    columns = torch.arange(12).sub((width - 1) // 2).clamp(0, 12 - width)
    torch.testing.assert_close(LocalMean(window)(features), inner[:, :, rows][..., columns])


@pytest.mark.parametrize(("size", "alike"), [(16, True), (20, False)])
def test_local_statistics_are_the_image_s_up_to_their_size(size: int, alike: bool) -> None:
    whole = SMALL.build()
    for parameter in whole.parameters():
        nn.init.normal_(parameter, std=0.3)
    local = SMALL.model_copy(update={"local_size": 16}).build()
    local.load_state_dict(whole.state_dict())
    image = torch.rand(1, 3, size, size)
    assert torch.allclose(local(image), whole(image), atol=1e-5) is alike


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"decoder_blocks": [1, 1, 1]}, "got 4 and 3 levels, expected the same number"),
        ({"local_size": 100}, "got 100, expected a multiple of 16 for 4 levels"),
    ],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NAFNetConfig(**wrong)


def test_a_given_halo_takes_the_place_of_the_exact_one() -> None:
    local = SMALL.model_copy(update={"local_size": 8})
    assert local.build().halo == 35
    assert local.model_copy(update={"halo": 5}).build().halo == 5
    assert "halo" not in local.model_dump()
