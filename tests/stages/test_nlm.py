import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from stages.nlm import NonLocalMeansConfig
from stages.profile import count_macs


def test_equals_opencv_on_each_image_of_a_batch() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 24, 30, 3), dtype=np.uint8)
    stage = NonLocalMeansConfig(h=9.0, h_color=5.0, patch=5, search=11).build()
    result = stage(torch.from_numpy(levels).permute(0, 3, 1, 2) / 255).mul(255).round().permute(0, 2, 3, 1)
    for image, denoised in zip(levels, result.numpy(), strict=True):
        expected = cv2.fastNlMeansDenoisingColored(image[..., ::-1].copy(), None, 9, 5, 5, 11)[..., ::-1]
        np.testing.assert_array_equal(denoised, expected)


@pytest.mark.parametrize(("away", "moves"), [(2, True), (3, False)])
def test_halo_is_what_moves_a_pixel(away: int, moves: bool) -> None:
    """Integers have no gradient, so pixels are moved instead: patch and search radius are 1 each, the halo is 2."""
    stage = NonLocalMeansConfig(h=20.0, h_color=20.0, patch=3, search=3).build()
    image = torch.full((1, 3, 15, 15), 0.5)
    image[..., 7, 8] = 0.7
    other = image.clone()
    other[..., 7, 7 + away] = 0.0
    assert stage.halo == 2
    assert bool((stage(other) - stage(image))[..., 7, 7].any()) == moves


def test_part_of_an_image_gives_part_of_the_whole() -> None:
    image = torch.from_numpy(data.astronaut()[60:120, 180:280]).permute(2, 0, 1)[None] / 255
    stage = NonLocalMeansConfig(h=20.0, h_color=20.0).build()
    halo = stage.halo
    assert torch.equal(stage(image[..., 20:80])[..., halo:-halo], stage(image)[..., 20 + halo : 80 - halo])


def test_removes_noise() -> None:
    clean = torch.from_numpy(data.astronaut()[60:160, 180:280]).permute(2, 0, 1)[None] / 255
    noisy = (clean + torch.randn_like(clean) * 15 / 255).clamp(0, 1)
    restored = NonLocalMeansConfig().build()(noisy)
    before, after = (peak_signal_noise_ratio(clean.numpy(), image.numpy(), data_range=1) for image in (noisy, restored))
    assert after >= before + 2


def test_sides_are_odd() -> None:
    with pytest.raises(ValidationError, match="search: got 20, expected an odd number of pixels"):
        NonLocalMeansConfig(search=20)


def test_has_nothing_to_count() -> None:
    assert count_macs(NonLocalMeansConfig(), 64, 64) == 0
