import cv2
import numpy as np
import pytest
import torch

from stages.layers import gaussian_kernel
from stages.unsharp_mask import UnsharpMaskConfig


def test_equals_opencv() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), dtype=np.float32)
    blurred = cv2.GaussianBlur(image, (9, 9), 1.2, borderType=cv2.BORDER_REPLICATE)
    expected = image + 0.7 * (image - blurred)
    result = UnsharpMaskConfig(sigma=1.2, amount=0.7).build()(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(result[0].permute(1, 2, 0), expected, atol=1e-5)


def test_amount_zero_is_the_identity() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(UnsharpMaskConfig(amount=0.0).build()(image), image)


def test_details_below_the_threshold_are_left_alone() -> None:
    """A step of 6 levels is a detail of at most 3, whichever side of it one looks at; one of 60 is not."""
    image = torch.full((1, 3, 9, 20), 100.0)
    image[..., 10:] = 106
    stage = UnsharpMaskConfig(amount=2.0, threshold=4.0).build()
    assert torch.equal(stage(image / 255), image / 255)
    image[..., 10:] = 160
    assert (stage(image / 255) - image / 255).abs().max() > 10 / 255


def test_no_detail_jumps_at_the_threshold() -> None:
    """Where tiles round in another way, a hard threshold would switch pixels on and off."""
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    below, above = (UnsharpMaskConfig(amount=1.0, threshold=10 + by).build().double() for by in (-1e-6, 1e-6))
    torch.testing.assert_close(below(image), above(image), atol=1e-7, rtol=0)


def test_flat_colour_stays() -> None:
    image = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(UnsharpMaskConfig(sigma=2.0, amount=1.5).build()(image), image)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_kernel_sums_to_one(sigma: float) -> None:
    assert gaussian_kernel(sigma).sum().item() == pytest.approx(1)
