"""The metrics agree with their formulas and with the reference code of the field."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from pipeline.evaluation.metrics import luma, psnr, psnr_rgb, psnr_y, ssim_y


def noisy(clean: torch.Tensor) -> torch.Tensor:
    return (clean + 0.1 * torch.randn_like(clean)).clamp(0, 1)


def test_psnr_of_known_errors() -> None:
    clean = torch.zeros(1, 3, 8, 8)
    assert psnr_rgb(clean + 0.1, clean) == pytest.approx(20)
    assert psnr_y(clean + 0.1, clean, border=1) == pytest.approx(20 - 20 * np.log10(219 / 255), abs=1e-3)


def test_psnr_is_that_of_scikit_image() -> None:
    clean = torch.rand(1, 3, 12, 12)
    restored = noisy(clean)
    expected = peak_signal_noise_ratio(clean.numpy(), restored.numpy(), data_range=1.0)
    assert psnr_rgb(restored, clean) == pytest.approx(expected, abs=1e-4)


def test_a_batch_scores_the_mean_of_its_images() -> None:
    clean = torch.rand(3, 3, 16, 16)
    restored = torch.cat([clean[:1] + 0.1, noisy(clean[1:])])
    singles = [(restored[n : n + 1], clean[n : n + 1]) for n in range(3)]
    assert psnr(restored, clean).tolist() == pytest.approx([psnr_rgb(*single) for single in singles])
    assert psnr_rgb(restored, clean) == pytest.approx(np.mean([psnr_rgb(*single) for single in singles]))
    assert psnr_y(restored, clean, 1) == pytest.approx(np.mean([psnr_y(*single, 1) for single in singles]))
    assert ssim_y(restored, clean, 1) == pytest.approx(np.mean([ssim_y(*single, 1) for single in singles]))


def test_nan_is_not_a_perfect_score() -> None:
    assert np.isnan(psnr_rgb(torch.full((1, 3, 4, 4), torch.nan), torch.zeros(1, 3, 4, 4)))


def test_equal_images_have_finite_scores() -> None:
    clean = torch.rand(1, 3, 12, 12)
    assert psnr_rgb(clean, clean) == psnr_y(clean, clean, border=0) == 100
    assert ssim_y(clean, clean, border=0) == pytest.approx(1)


@pytest.mark.parametrize(("score", "best"), [(psnr_y, 100), (ssim_y, 1)])
def test_the_border_is_left_out(score: Callable[..., float], best: float) -> None:
    clean = torch.rand(1, 3, 16, 16)
    wrong_border = clean.clone()
    wrong_border[..., :2, :] = 0
    assert score(wrong_border, clean, border=2) == pytest.approx(best)
    assert score(wrong_border, clean, border=1) < 0.9995 * best


def test_luma_of_black_white_and_green() -> None:
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0, 1, 0]]).T.view(1, 3, 1, 3)
    assert (luma(colours) * 255).flatten().tolist() == pytest.approx([16, 235, 16 + 128.553], abs=1e-3)


def test_ssim_is_the_formula_of_the_paper() -> None:
    """One window only, so that it can be written out."""
    clean = torch.rand(1, 3, 11, 11)
    restored = noisy(clean)
    bell = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(bell, bell) / bell.sum() ** 2
    x, y = (luma(image)[0, 0].double().numpy() for image in (restored, clean))
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    variances = (window * x**2).sum() - mean_x**2 + (window * y**2).sum() - mean_y**2
    covariance = (window * x * y).sum() - mean_x * mean_y
    first, second = 0.01**2, 0.03**2
    expected = (2 * mean_x * mean_y + first) * (2 * covariance + second)
    expected /= (mean_x**2 + mean_y**2 + first) * (variances + second)
    assert ssim_y(restored, clean, border=0) == pytest.approx(expected, abs=1e-6)


def test_an_image_too_small_for_ssim_is_an_error() -> None:
    image = torch.rand(1, 3, 20, 12)
    with pytest.raises(ValueError, match="SSIM needs 11x11 pixels or more, got 10x18 without the border"):
        ssim_y(image, image, border=1)
