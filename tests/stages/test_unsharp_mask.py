import cv2
import numpy as np
import pytest
import torch

from stages.unsharp_mask import UnsharpMaskConfig, gaussian_kernel


def test_equals_opencv() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), dtype=np.float32)
    blurred = cv2.GaussianBlur(image, (9, 9), 1.2, borderType=cv2.BORDER_REPLICATE)
    expected = image + 0.7 * (image - blurred)
    result = UnsharpMaskConfig(sigma=1.2, amount=0.7).build()(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-5)


def test_amount_zero_is_the_identity() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(UnsharpMaskConfig(amount=0.0).build()(image), image)


def test_flat_colour_stays() -> None:
    image = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(UnsharpMaskConfig(sigma=2.0, amount=1.5).build()(image), image)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_kernel_sums_to_one(sigma: float) -> None:
    assert gaussian_kernel(sigma).sum().item() == pytest.approx(1)
