"""Alpha keeps its dtype and range and is enlarged as the colours are."""

from typing import Any

import numpy as np
import pytest

from pipeline.alpha import restored_like
from pipeline.images import Picture


def picture(dtype: Any, alpha: float | None) -> Picture:
    pixels = np.zeros((4, 6, 3), dtype)
    return Picture(pixels, None if alpha is None else np.full((4, 6), alpha, dtype), notes=("a note",))


@pytest.mark.parametrize(("dtype", "alpha"), [(np.uint8, 200), (np.uint16, 65535), (np.float32, 0.25)])
@pytest.mark.parametrize("scale", [1, 3])
def test_even_alpha_stays_even(dtype: Any, alpha: float, scale: int) -> None:
    restored = restored_like(picture(dtype, alpha), np.zeros((4 * scale, 6 * scale, 3), dtype))
    assert restored.alpha is not None
    assert restored.alpha.dtype == dtype
    assert restored.alpha.shape == (4 * scale, 6 * scale)
    assert np.allclose(restored.alpha, alpha)
    assert restored.notes == ("a note",)


def test_a_hard_edge_does_not_overshoot() -> None:
    original = picture(np.uint8, 0)
    assert original.alpha is not None
    original.alpha[:, 3:] = 255
    enlarged = restored_like(original, np.zeros((8, 12, 3), np.uint8)).alpha
    assert enlarged is not None
    assert (enlarged[:, :4] == 0).all()
    assert (enlarged[:, 8:] == 255).all()
    assert (np.diff(enlarged[0].astype(int)) >= 0).all()


def test_an_opaque_picture_stays_without() -> None:
    assert restored_like(picture(np.uint8, None), np.zeros((8, 12, 3), np.uint8)).alpha is None
