from pathlib import Path

import pytest
import torch

from pipeline.chain import Chain
from pipeline.config import ChainConfig
from stages.edsr import EDSRConfig
from train import evaluate
from train.recipe import Downscale


def test_any_size_is_restored_whole() -> None:
    stage = EDSRConfig(depth=1, width=4, upsampler="direct", bicubic_skip=True).build()
    stage.multiple_of = 8
    assert evaluate.restorer(stage)(torch.rand(1, 3, 13, 9)).shape == (1, 3, 26, 18)


def test_judge_counts_what_got_better() -> None:
    clean = torch.full((1, 3, 4, 4), 100 / 255)
    samples = iter([(clean + 0.1, clean), (clean, clean + 0.2)])
    figure = evaluate.judge("p", "w", samples, torch.clone, lambda image: image - 0.04, evaluate.psnr_rgb)
    assert figure.better == 0.5
    assert figure.nothing == pytest.approx((20 + 13.979) / 2, abs=1e-3)


def test_main_writes_the_page(sharp_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    chain_file = tmp_path / "chain.yaml"
    chain_file.write_text("stages:\n  - {stage: unsharp_mask, amount: 0.0}\n")
    page = tmp_path / "quality.md"
    for folder in ("CBSD68",):
        (tmp_path / folder).symlink_to(tmp_path / "Set14")
    arguments = ["--data", str(tmp_path), "--only", "chain", "--weights", str(chain_file), "-o", str(page)]
    monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
    monkeypatch.setattr(evaluate, "enlarger", lambda scale: torch.nn.UpsamplingNearest2d(scale_factor=2))
    monkeypatch.setattr(Chain, "restore", lambda self, image: image.repeat(2, axis=0).repeat(2, axis=1))
    assert evaluate.main() == 0
    assert "| Set14, x2 down, noise sigma 10, PSNR RGB | chain |" in page.read_text()


def test_clean_photos_are_compared_with_themselves(sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    (tmp_path / "CBSD68").symlink_to(tmp_path / "Set14")
    untrained = {"stage": "unet", "width": 4, "levels": 2, "residual": True}  # starts as the identity
    config = ChainConfig.model_validate({"stages": [untrained, {"stage": "unsharp_mask", "amount": 9.0}]})
    (figure,) = evaluate.harmlessness(tmp_path, "chain.yaml", Chain.build(config))
    assert (figure.weights, figure.nothing, figure.restored) == ("chain", None, 100.0)
    assert figure.protocol == "CBSD68 + Set14, clean, through unet, PSNR RGB"
    assert "| unchanged | 100.00 |" in evaluate.as_markdown([figure])


def test_sizes_are_cut_to_what_the_scale_divides(sharp_folder: Path) -> None:
    degraded, clean = next(evaluate.degraded_images([sharp_folder], [Downscale(factor=3)]))
    assert clean.shape == (1, 3, 48, 54)
    assert degraded.shape == (1, 3, 16, 18)


def test_weights_of_another_task_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for protocol, weights in (("super_resolution", "unet_deblur_fast"), ("denoising", "edsr_x2_fast")):
        arguments = ["--data", str(tmp_path), "--only", protocol, "--weights", weights]
        monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
        assert evaluate.main() == 2
        assert f"for {protocol}" in capsys.readouterr().err


def test_missing_test_sets_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    chain_file = tmp_path / "chain.yaml"
    chain_file.write_text("stages:\n  - {stage: unsharp_mask}\n")
    arguments = ["--data", str(tmp_path / "none"), "--only", "chain", "--weights", str(chain_file)]
    monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
    assert evaluate.main() == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.slow
def test_bicubic_reaches_its_published_psnr(shared_data: Path) -> None:
    """Set5 x2, MATLAB bicubic both ways: 33.66 dB in the literature."""
    samples = evaluate.degraded_images([shared_data / "test" / "Set5"], [Downscale(factor=2)])
    figure = evaluate.judge(
        "Set5",
        "none",
        samples,
        evaluate.enlarger(2),
        evaluate.enlarger(2),
        lambda restored, clean: evaluate.psnr_y(restored, clean, border=2),
    )
    assert figure.nothing == pytest.approx(33.67, abs=0.02)
