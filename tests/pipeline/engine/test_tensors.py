import numpy as np
import pytest
import torch

from pipeline.engine.tensors import checked, cut, to_pixels, to_tensor
from pipeline.tiling import Region, Span

CPU = torch.device("cpu")


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_integer_level_survives_the_way_there_and_back(dtype, gray):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None]
    pixels = levels if gray else levels[..., None].repeat(3, axis=2)
    back = to_pixels(to_tensor(pixels, CPU), pixels.dtype, gray=gray)
    assert back.dtype == dtype
    assert (back == pixels).all()


def test_the_tensor_is_an_rgb_image():
    pixels = np.array([[[255, 0, 51]]], np.uint8)
    assert to_tensor(pixels, CPU).flatten().tolist() == pytest.approx([1, 0, 0.2])
    assert to_tensor(np.zeros((5, 7, 3), np.uint8), CPU).shape == (1, 3, 5, 7)


def test_gray_is_the_mean_of_the_channels():
    image = torch.tensor([0.1, 0.2, 0.6]).view(1, 3, 1, 1)
    assert to_pixels(image, np.dtype(np.float32), gray=True).item() == pytest.approx(0.3)


def test_a_cut_repeats_the_outermost_pixels():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    result = cut(pixels, Region(Span(1, 4), Span(1, 4)))
    assert result.tolist() == [[4, 5, 5]] * 3


def test_a_cut_is_a_copy():
    pixels = np.zeros((4, 4, 3), np.uint8)
    cut(pixels, Region(Span(0, 4), Span(0, 4)))[:] = 1
    assert (pixels == 0).all()


def test_foreign_byte_order_is_taken():
    assert checked(np.array([[1, 513]], ">u2")).tolist() == [[1, 513]]
    assert checked(np.array([[1, 513]], ">u2")).dtype == np.uint16


def test_images_from_read_only_and_turned_arrays_are_taken():
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    pixels.flags.writeable = False
    turned = checked(pixels)[::-1, ::-1]
    image = to_tensor(cut(turned, Region(Span(0, 4), Span(0, 5))), CPU)
    assert (to_pixels(image, turned.dtype, gray=False) == turned).all()


@pytest.mark.parametrize(
    ("image", "error", "text"),
    [
        ([[1, 2]], TypeError, "got list, expected a NumPy array"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "got pixels of int64, expected uint8, uint16 or float"),
        (np.zeros((4, 4), bool), TypeError, "got pixels of bool"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"\(4, 4, 4\).*remove alpha"),
        (np.zeros((1, 4, 4, 3), np.uint8), ValueError, r"expected \(H, W, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "no pixels"),
        (np.full((4, 4, 3), np.nan), ValueError, "NaN or infinite"),
        (np.full((4, 4, 3), 255.0), ValueError, r"got floats up to 255, expected values in \[0, 1\]"),
    ],
)
def test_what_is_not_an_image_is_refused(image, error, text):
    with pytest.raises(error, match=text):
        checked(image)
