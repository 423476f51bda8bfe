from pathlib import Path

import pytest
import torch

from pipeline.evaluation.metrics import psnr_y
from stages.edsr import EDSRConfig
from train.degradation.sequence import Downscale
from train.evaluation.measurement import measure
from train.evaluation.restorers import bicubic_upscaler, restorer
from train.evaluation.samples import degraded_images


def test_any_size_is_restored_whole() -> None:
    stage = EDSRConfig(depth=1, width=4, upsampler="direct", bicubic_skip=True).build()
    stage.multiple_of = 8
    assert restorer(stage)(torch.rand(1, 3, 13, 9)).shape == (1, 3, 26, 18)


@pytest.mark.slow
def test_bicubic_reaches_its_published_psnr(shared_data: Path) -> None:
    """Set5 x2, MATLAB bicubic both ways: 33.66 dB in the literature."""
    samples = degraded_images([shared_data / "test" / "Set5"], [Downscale(factor=2)])
    result = measure(
        "Set5",
        "none",
        samples,
        bicubic_upscaler(2),
        bicubic_upscaler(2),
        lambda restored, clean: psnr_y(restored, clean, border=2),
    )
    assert result.nothing == pytest.approx(33.67, abs=0.02)
