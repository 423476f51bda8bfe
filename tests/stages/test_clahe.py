import cv2
import numpy as np
import pytest
import torch
from skimage import color, data

from stages.clahe import CLAHEConfig


@pytest.fixture
def photo() -> np.ndarray:
    """With little contrast, so that no colour is one that a screen cannot show."""
    return (data.astronaut()[100:260, 100:300] * 0.3 + 80).astype(np.uint8)


def restored(levels: np.ndarray, **options: float) -> np.ndarray:
    image = torch.from_numpy(levels).permute(2, 0, 1)[None] / 255
    return CLAHEConfig(**options).build()(image)[0].permute(1, 2, 0).numpy()


def test_lightness_is_opencvs(photo: np.ndarray) -> None:
    expected = cv2.cvtColor(photo, cv2.COLOR_RGB2Lab)
    expected[..., 0] = cv2.createCLAHE(3.0, (4, 4)).apply(expected[..., 0])
    result = color.rgb2lab(restored(photo, clip_limit=3.0, grid=4))
    difference = np.abs(result[..., 0] * 2.55 - expected[..., 0])
    # OpenCV's conversion rounds L by up to 0.7 levels; a curve makes up to three times as much of it.
    assert np.median(difference) <= 0.5
    assert np.quantile(difference, 0.9) <= 3


def test_contrast_grows_and_colour_stays(photo: np.ndarray) -> None:
    before = color.rgb2lab(photo)
    after = color.rgb2lab(restored(photo))
    assert after[..., 0].std() > 1.05 * before[..., 0].std()
    assert np.median(np.abs(after[..., 1:] - before[..., 1:])) < 0.5


def test_a_ramp_finer_than_eight_bits_stays_one() -> None:
    ramp = torch.linspace(0.3, 0.5, 4000).expand(1, 3, 4, -1)
    result = CLAHEConfig(clip_limit=1.0, grid=1).build()(ramp)
    assert len(result[0, 0, 0].unique()) > 1000


def test_the_grid_divides_the_whole_image() -> None:
    assert CLAHEConfig().build().halo is None
