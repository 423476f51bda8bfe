"""An image is transparent where alpha hides something."""

import numpy as np
import pytest

from pipeline.images import ImageFile


@pytest.mark.parametrize(("alpha", "transparent"), [(None, False), (255, False), (254, True), (0, True)])
def test_transparent_is_what_alpha_hides(alpha: int | None, transparent: bool) -> None:
    pixels = np.zeros((2, 3), np.uint8)
    plane = None if alpha is None else np.full((2, 3), alpha, np.uint8)
    assert ImageFile(pixels, plane).transparent == transparent
