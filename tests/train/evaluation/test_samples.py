from pathlib import Path

import pytest
import torch

from train.degradation.sequence import Downscale
from train.evaluation.samples import GRAY_NOISE, degraded_images, gray_images


def test_gray_photos_get_gray_noise(sharp_folder: Path) -> None:
    degraded, clean = next(gray_images([sharp_folder], [GRAY_NOISE]))
    for image in (degraded, clean):
        assert torch.equal(image[:, :1].expand_as(image), image)
    assert (255 * (degraded - clean)).std().item() == pytest.approx(11, rel=0.1)


def test_sizes_are_cut_to_what_the_scale_divides(sharp_folder: Path) -> None:
    degraded, clean = next(degraded_images([sharp_folder], [Downscale(factor=3)]))
    assert clean.shape == (1, 3, 48, 54)
    assert degraded.shape == (1, 3, 16, 18)
