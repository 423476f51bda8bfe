import math
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.evaluation.metrics import psnr_rgb, psnr_y
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.weights import Card, save_weights
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
    assert (result.better, result.worse) == (0.5, 0.5)
    assert result.worst == pytest.approx(20 * math.log10(0.2 / (0.2 + 10 / 255)), abs=1e-3)
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


@pytest.mark.parametrize(("scale", "kinds"), [(1, 12), (2, 15)])
def test_every_kind_of_harm_is_looked_for(scale: int, kinds: int, sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    (tmp_path / "CBSD68").symlink_to(tmp_path / "Set14")
    stage = "{stage: unsharp_mask, amount: 0.0}" if scale == 1 else "{stage: bicubic, scale: 2}"
    (tmp_path / "chain.yaml").write_text(f"stages:\n  - {stage}\n")
    results = list(protocols.harm(tmp_path, str(tmp_path / "chain.yaml")))
    assert len({result.protocol for result in results}) == kinds
    assert all(abs(result.worst) < 0.05 and result.worse == 0 for result in results)  # the baseline itself
    assert "Where the shipped chains do harm" in as_markdown(results, ["harm"])


def test_only_a_few_photos_are_looked_at() -> None:
    assert protocols.spread([Path(str(index)) for index in range(14)], 4) == [
        Path(name) for name in ("0", "4", "8", "12")
    ]


def test_gray_photos_get_gray_noise(sharp_folder: Path) -> None:
    degraded, clean = next(protocols.gray_images([sharp_folder], [protocols.GRAY_NOISE]))
    for image in (degraded, clean):
        assert torch.equal(image[:, :1].expand_as(image), image)
    assert (255 * (degraded - clean)).std().item() == pytest.approx(11, rel=0.1)


def test_denoisers_meet_gray_noise_and_a_camera(sharp_folder: Path, tmp_path: Path) -> None:
    for name in ("Set14", "CBSD68", "real_noise/polyu_512/noisy", "real_noise/polyu_512/clean"):
        shutil.copytree(sharp_folder, tmp_path / name)
    stage = DnCNNConfig(depth=3, width=4, batch_norm=False)
    card = Card(config={"stage": "dncnn", **stage.architecture()})
    save_weights(tmp_path / "tiny.safetensors", stage.build(), card)
    names = [result.protocol for result in protocols.denoising(tmp_path, str(tmp_path / "tiny.safetensors"))]
    assert "CBSD68 as gray, noise sigma 11, PSNR RGB" in names
    assert "PolyU, camera noise, PSNR RGB" in names


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
