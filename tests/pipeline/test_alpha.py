"""Alpha keeps its dtype and range and is upscaled like the colours."""

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.alpha import restored_like, visible_pixels
from pipeline.engine.tensors import to_pixels, to_tensor
from pipeline.images import ImageFile
from stages.layers import bicubic_upscale


def flat_image(dtype: Any, alpha: float | None) -> ImageFile:
    pixels = np.zeros((4, 6, 3), dtype)
    return ImageFile(pixels, None if alpha is None else np.full((4, 6), alpha, dtype), notes=("a note",))


@pytest.mark.parametrize(("dtype", "alpha"), [(np.uint8, 200), (np.uint16, 65535), (np.float32, 0.25)])
@pytest.mark.parametrize("scale", [1, 3])
def test_even_alpha_stays_even(dtype: Any, alpha: float, scale: int) -> None:
    restored = restored_like(flat_image(dtype, alpha), np.zeros((4 * scale, 6 * scale, 3), dtype))
    assert restored.alpha is not None
    assert restored.alpha.dtype == dtype
    assert restored.alpha.shape == (4 * scale, 6 * scale)
    assert np.allclose(restored.alpha, alpha)
    assert restored.notes == ("a note",)


def test_a_hard_edge_does_not_overshoot() -> None:
    original = flat_image(np.uint8, 0)
    assert original.alpha is not None
    original.alpha[:, 3:] = 255
    upscaled = restored_like(original, np.zeros((8, 12, 3), np.uint8)).alpha
    assert upscaled is not None
    assert (upscaled[:, :4] == 0).all()
    assert (upscaled[:, 8:] == 255).all()
    assert (np.diff(upscaled[0].astype(int)) >= 0).all()


def test_an_opaque_image_stays_without() -> None:
    assert restored_like(flat_image(np.uint8, None), np.zeros((8, 12, 3), np.uint8)).alpha is None


def disc(background: int) -> ImageFile:
    """An orange disc with a soft edge whose hidden surroundings are of one gray."""
    rows, columns = np.mgrid[-16:16, -16:16]
    alpha = np.clip(255 * (12 - np.hypot(rows, columns)), 0, 255).astype(np.uint8)
    pixels = np.where(alpha[..., None] > 0, np.uint8([240, 120, 30]), np.uint8(background))
    return ImageFile(pixels, alpha)


@pytest.mark.parametrize("background", [0, 77, 255])
def test_a_hidden_colour_does_not_show_at_edges_and_stays_where_it_is_hidden(background: int) -> None:
    original = disc(background)
    given = to_tensor(visible_pixels(original), torch.device("cpu"))
    made = to_pixels(bicubic_upscale(given, 2).clamp(0, 1), np.dtype(np.uint8), gray=False)
    restored = restored_like(original, made)
    assert restored.alpha is not None
    shown = restored.alpha > 0
    assert (restored.pixels[shown] == (240, 120, 30)).all()
    assert (restored.pixels[~shown] == background).all()
    assert (~shown).sum() > 1000


def test_hidden_colours_that_differ_are_restored_as_they_are() -> None:
    original = disc(0)
    original.pixels[0, 0] = 9
    assert visible_pixels(original) is original.pixels


@pytest.mark.parametrize("alpha", [None, 0.0, 0.5])
def test_without_an_edge_pixels_are_given_as_they_are(alpha: float | None) -> None:
    original = flat_image(np.float32, alpha)
    assert visible_pixels(original) is original.pixels
    assert (restored_like(original, original.pixels).pixels == original.pixels).all()
