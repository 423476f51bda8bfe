import cv2
import numpy as np
import pytest
import torch
from skimage import data

from stages.deconvolution.measures import blur_width, informative_crop, noise_sigma


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_the_width_of_a_gaussian_blur_is_its_sigma(sigma: float) -> None:
    pixels = cv2.GaussianBlur(data.camera().astype(np.float32) / 255, (0, 0), sigma)
    assert blur_width(torch.from_numpy(pixels)) == pytest.approx(sigma, rel=0.35)


def test_a_flat_image_has_no_width_and_a_ramp_an_infinite_one() -> None:
    assert blur_width(torch.full((20, 20), 0.3)) == 0
    assert blur_width(torch.linspace(0, 1, 20).expand(20, 20)) > 1000


@pytest.mark.parametrize("sigma", [1.0, 5.0, 20.0])
def test_noise_is_measured_beside_edges(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(3, 128, 128)
    image[..., 40:80] = 0.5
    image += sigma / 255 * torch.randn(image.shape, generator=generator)
    assert 255 * noise_sigma(image) == pytest.approx(sigma, rel=0.05)


def test_the_crop_holds_the_detail_that_is_not_clipped() -> None:
    generator = torch.Generator().manual_seed(0)
    gray = torch.full((200, 300), 0.5)
    gray[120:180, 200:280] += 0.2 * torch.rand(60, 80, generator=generator)
    gray[10:50, 10:50] = (3 * torch.rand(40, 40, generator=generator)).clamp(0.98, 1)
    rows, columns = informative_crop(gray, 96)
    assert rows.start <= 120 <= 180 <= rows.stop
    assert columns.start <= 200 <= 280 <= columns.stop
    assert informative_crop(gray, 1000) == (slice(0, 200), slice(0, 300))
