import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from train.losses.functions import LOSSES, fft, ms_ssim, psnr, sobel, ssim


def smooth_image(count: int, side: int) -> Tensor:
    coarse = torch.rand(count, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("side", [8, 48])
def test_a_loss_falls_as_the_image_nears_the_clean_one(name: str, side: int) -> None:
    clean = smooth_image(2, side)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    far, near = (torch.nn.Parameter(clean + distance * noise) for distance in (0.2, 0.05))
    loss = LOSSES[name](far, clean)
    assert loss.ndim == 0
    assert loss > LOSSES[name](near, clean) > LOSSES[name](clean, clean)
    loss.backward()
    assert far.grad is not None
    assert far.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_a_gradient_for_equal_and_for_opposite_images(name: str) -> None:
    clean = smooth_image(1, 48)
    for image in (clean, 1 - clean):
        restored = torch.nn.Parameter(image.clone())
        LOSSES[name](restored, clean).backward()
        assert restored.grad is not None
        assert restored.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"psnr"}))
def test_equal_images_cost_nothing(name: str) -> None:
    clean = smooth_image(1, 48)
    assert LOSSES[name](clean, clean).item() == pytest.approx(0, abs=0.0021)  # Charbonnier's rounding


def test_psnr_counts_every_image_alike() -> None:
    clean = smooth_image(2, 16)
    errors = torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    expected = (torch.log(errors.flatten() ** 2 + 1e-4)).mean()
    torch.testing.assert_close(psnr(clean + errors, clean), expected)


def test_ssim_is_that_of_scikit_image_but_for_the_border() -> None:
    clean = smooth_image(1, 64)
    noise = 0.1 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    restored = clean + pad(noise, (16, 16, 16, 16))
    reference = structural_similarity(
        restored[0].numpy(), clean[0].numpy(), data_range=1.0, channel_axis=0, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    # Both maps are 1 at the border, five pixels of which scikit-image leaves out of its mean.
    assert ssim(restored, clean).item() * 64**2 == pytest.approx((1 - reference) * 54**2, rel=1e-4)


def test_ms_ssim_is_the_published_one_where_five_scales_fit() -> None:
    clean = smooth_image(1, 176)
    restored = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    reference = multiscale_structural_similarity_index_measure(restored, clean, data_range=1.0)
    assert 1 - ms_ssim(restored, clean).item() == pytest.approx(reference.item(), abs=1e-3)


def test_ms_ssim_of_crops_for_a_single_scale_is_ssim() -> None:
    clean = smooth_image(1, 16)
    restored = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ms_ssim(restored, clean), ssim(restored, clean))


def test_sobel_measures_slopes_and_no_brightness() -> None:
    clean = smooth_image(1, 16)
    ramp = 0.1 * torch.arange(16.0)
    assert sobel(clean + ramp, clean).item() == pytest.approx(0.05, abs=1e-5)  # 0.1 along x, none along y
    assert sobel(clean + 0.3, clean).item() == pytest.approx(0, abs=1e-6)


def test_fft_is_l1_of_both_parts_of_the_plain_spectrum() -> None:
    clean, restored = smooth_image(1, 16), smooth_image(1, 16).flip(-1)
    first, second = torch.fft.rfft2(restored), torch.fft.rfft2(clean)
    expected = ((first.real - second.real).abs().mean() + (first.imag - second.imag).abs().mean()) / 2
    torch.testing.assert_close(fft(restored, clean), expected)
