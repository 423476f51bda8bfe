import pytest
import torch

from stages.edsr import EDSRConfig
from stages.layers import bicubic_upscale
from stages.profile import count_macs, count_parameters


@pytest.mark.parametrize(("scale", "parameters"), [(2, 1_369_859), (3, 1_554_499), (4, 1_517_571)])
def test_parameters_of_the_baseline(scale: int, parameters: int) -> None:
    """Lim et al., baseline: 16 blocks of 64 channels, 1.37 M, 1.55 M and 1.52 M parameters."""
    assert count_parameters(EDSRConfig(scale=scale).build()) == parameters


def test_parameters_of_the_large_model() -> None:
    assert count_parameters(EDSRConfig(width=256, depth=32, res_scale=0.1).build()) == 40_729_603


def test_macs_equal_a_hand_count() -> None:
    height, width, channels = 10, 12, 8
    at_small_size = 3 * channels + 3 * channels**2 + channels * 4 * channels
    at_large_size = 4 * (channels * 3)
    expected = 9 * height * width * (at_small_size + at_large_size)
    assert count_macs(EDSRConfig(width=channels, depth=1), height, width) == expected


def test_counting_leaves_nothing_behind() -> None:
    """Counted without computing, on the meta device; what is kept for later must still compute."""
    config = EDSRConfig(width=4, depth=1, scale=4, upsampler="direct", bicubic_skip=True)
    assert count_macs(config, 8, 8) > 0
    assert config.build()(torch.rand(1, 3, 8, 8)).isfinite().all()


@pytest.mark.parametrize("upsampler", ["shuffle", "direct"])
def test_bicubic_skip_starts_as_bicubic(upsampler: str) -> None:
    image = torch.rand(1, 3, 9, 7)
    stage = EDSRConfig(width=4, depth=1, upsampler=upsampler, bicubic_skip=True).build()
    torch.testing.assert_close(stage(image), bicubic_upscale(image, 2))
