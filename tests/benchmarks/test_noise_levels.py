import random

import numpy as np
import pytest
import torch
from torch import Generator

from benchmarks.noise_levels import Samples, clean_images, fit
from stages.noise_estimator import NoiseEstimator
from train.losses.noise_level import NoiseLevelTraining


def test_the_fitted_estimator_takes_images_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.noise_levels._STEPS", 150)
    torch.manual_seed(0)
    estimator = NoiseEstimator(16)
    levels = torch.rand(200, 1, 1, 1) * 30 / 255
    images = 0.5 + torch.randn(200, 3, 64, 64) * levels
    loss = fit(estimator, Samples(estimator.variations(images), levels), NoiseLevelTraining())
    assert loss < 0.05
    torch.testing.assert_close(estimator(images[:9]), levels[:9], rtol=0.3, atol=1 / 255)


def test_images_to_degrade_are_photos_and_screens_of_all_sizes() -> None:
    random.seed(1)
    photos = [np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)]
    images = [image for image, _ in zip(clean_images(photos, Generator()), range(60), strict=False)]
    assert {image.shape[-1] for image in images} >= {128, 192, 256}
    assert all(image.shape[1] == 3 and image.min() >= 0 and image.max() <= 1 for image in images)
    assert any(torch.equal(image[:, 0], image[:, 2]) for image in images), "none is gray"
