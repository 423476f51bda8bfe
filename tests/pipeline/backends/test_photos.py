"""Photos for calibration and comparison."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from pipeline.backends import photos


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photos_are_scikit_images(name: str) -> None:
    assert np.array_equal(photos.read(name), getattr(data, name)())
