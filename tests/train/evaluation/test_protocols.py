from pathlib import Path

import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.evaluation.metrics import psnr_rgb, psnr_y
from stages.edsr import EDSRConfig
from train.degradation.sequence import Downscale
from train.evaluation import protocols
from train.evaluation.evaluate import as_markdown


def test_any_size_is_restored_whole() -> None:
    stage = EDSRConfig(depth=1, width=4, upsampler="direct", bicubic_skip=True).build()
    stage.multiple_of = 8
    assert protocols.restorer(stage)(torch.rand(1, 3, 13, 9)).shape == (1, 3, 26, 18)


def test_images_that_got_better_are_counted() -> None:
    clean = torch.full((1, 3, 4, 4), 100 / 255)
    samples = iter([(clean + 0.1, clean), (clean, clean + 0.2)])
    result = protocols.measure("p", "w", samples, torch.clone, lambda image: image - 0.04, psnr_rgb)
    assert result.better == 0.5
    assert result.nothing == pytest.approx((20 + 13.979) / 2, abs=1e-3)


def test_clean_photos_are_compared_with_themselves(sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    (tmp_path / "CBSD68").symlink_to(tmp_path / "Set14")
    untrained = {"stage": "unet", "width": 4, "levels": 2, "residual": True}  # starts as the identity
    config = ChainConfig.model_validate({"stages": [untrained, {"stage": "unsharp_mask", "amount": 9.0}]})
    cleaning = protocols.stages_of_one_size(Chain.build(config))
    assert cleaning is not None
    assert cleaning.names == ("unet",)
    results = list(protocols.harmlessness(tmp_path, "chain.yaml", protocols.chain_restorer(cleaning)))
    assert [result.protocol for result in results] == [
        "CBSD68 + Set14, clean, PSNR RGB",
        "Set14 of half size, clean, PSNR RGB",
    ]
    assert {(result.weights, result.nothing, result.restored) for result in results} == {("chain", None, 100.0)}
    assert "| unchanged | 100.00 |" in as_markdown(results)


def test_sizes_are_cut_to_what_the_scale_divides(sharp_folder: Path) -> None:
    degraded, clean = next(protocols.degraded_images([sharp_folder], [Downscale(factor=3)]))
    assert clean.shape == (1, 3, 48, 54)
    assert degraded.shape == (1, 3, 16, 18)


@pytest.mark.slow
def test_bicubic_reaches_its_published_psnr(shared_data: Path) -> None:
    """Set5 x2, MATLAB bicubic both ways: 33.66 dB in the literature."""
    samples = protocols.degraded_images([shared_data / "test" / "Set5"], [Downscale(factor=2)])
    result = protocols.measure(
        "Set5",
        "none",
        samples,
        protocols.bicubic_upscaler(2),
        protocols.bicubic_upscaler(2),
        lambda restored, clean: psnr_y(restored, clean, border=2),
    )
    assert result.nothing == pytest.approx(33.67, abs=0.02)
