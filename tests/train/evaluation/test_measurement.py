import math

import pytest
import torch

from pipeline.evaluation.metrics import psnr_rgb
from train.evaluation.measurement import measure


def test_images_that_got_better_are_counted() -> None:
    clean = torch.full((1, 3, 4, 4), 100 / 255)
    samples = iter([(clean + 0.1, clean), (clean, clean + 0.2)])
    result = measure("p", "w", samples, torch.clone, lambda image: image - 0.04, psnr_rgb)
    assert (result.better, result.worse) == (0.5, 0.5)
    assert result.worst == pytest.approx(20 * math.log10(0.2 / (0.2 + 10 / 255)), abs=1e-3)
    assert result.nothing == pytest.approx((20 + 13.979) / 2, abs=1e-3)
