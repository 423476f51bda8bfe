import pytest
import torch
from skimage import data
from torch import Tensor

from stages.blind_deconvolution import disc_kernel
from stages.deconvolution import tiles
from stages.deconvolution.tiles import undo_blur
from train.degradation import functions


def blurred_photo() -> Tensor:
    photo = torch.from_numpy(data.astronaut()[:150, 150:330].copy()).permute(2, 0, 1)[None].float() / 255
    return functions.quantise(functions.blur(photo, disc_kernel(2.0)[None]))[0]


def test_tiles_give_the_whole_image_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    image, kernel = blurred_photo(), disc_kernel(2.0)
    whole = undo_blur(image, kernel[None, None], linear=False)
    monkeypatch.setattr(tiles, "_TILE", 64)
    tiled = undo_blur(image, kernel[None, None], linear=False)
    assert (tiled - whole).abs().max() < 5 / 255
    assert (tiled - whole).abs().mean() < 0.2 / 255
    assert (tiled - image).abs().max() > 20 / 255


def test_where_the_blur_does_not_explain_the_photo_it_stays_as_it_was() -> None:
    """Half of the photo is sharp: undoing the blur there would ring."""
    image = blurred_photo()
    sharp = torch.rand(3, 150, 90, generator=torch.Generator().manual_seed(0))
    image[..., 90:] = sharp
    result = undo_blur(image, disc_kernel(2.0)[None, None], linear=False)
    torch.testing.assert_close(result[..., 110:], image[..., 110:], atol=2 / 255, rtol=0)
    assert (result[..., :60] - image[..., :60]).abs().max() > 10 / 255
