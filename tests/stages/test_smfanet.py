from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.evaluation.metrics import psnr_y
from stages.profile import count_parameters
from stages.registry import load_stage
from stages.smfanet import SMFANetConfig
from train.degradation.sequence import Downscale
from train.evaluation.measurement import measure
from train.evaluation.restorers import bicubic_upscaler, restorer
from train.evaluation.samples import degraded_images


def test_parameters_of_the_published_networks() -> None:
    """Zheng et al.: SMFANet+ for x2 has 480 K parameters, SMFANet 186 K."""
    assert count_parameters(SMFANetConfig().build()) == 480_300
    assert round(count_parameters(SMFANetConfig(width=36, depth=8).build()) / 1000) == 186


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (17, 30)])
def test_sizes_below_a_cell_and_off_its_grid_are_upscaled(size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    result = SMFANetConfig(width=4, depth=1).build().eval()(image)
    assert result.shape == (1, 3, 2 * size[0], 2 * size[1])
    assert result.isfinite().all()


@pytest.mark.slow
def test_published_weights_reach_their_psnr(shared_data: Path, published: Callable[[str, str], Path]) -> None:
    """Set5 x2, MATLAB bicubic: 38.19 dB after rounding to 8 bit."""
    stage = load_stage(published("smfanet_plus_x2", "smfanet_plus_x2_df2k.pth"))
    result = measure(
        "Set5",
        "smfanet",
        degraded_images([shared_data / "test" / "Set5"], [Downscale(factor=2)]),
        bicubic_upscaler(2),
        restorer(stage),
        lambda restored, clean: psnr_y(restored, clean, border=2),
    )
    assert result.restored == pytest.approx(38.19, abs=0.02)
