import numpy as np
import pytest
import torch
from PIL import Image

from stages.layers import bicubic_upscale, coarser_halo, finer_halo


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_equals_pillow(scale: int) -> None:
    """Pillow's bicubic is the field's kernel, a = -0.5; only the border is treated in another way."""
    image = np.random.default_rng(0).random((13, 17), dtype=np.float32)
    expected = Image.fromarray(image).resize((17 * scale, 13 * scale), Image.Resampling.BICUBIC)
    result = bicubic_upscale(torch.from_numpy(image)[None, None], scale)[0, 0]
    inner = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(result[inner, inner], np.asarray(expected)[inner, inner], atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_part_upscales_to_a_part_of_the_whole(scale: int) -> None:
    image = torch.rand(1, 3, 8, 3000)
    whole = bicubic_upscale(image, scale)
    part = bicubic_upscale(image[..., 2900:], scale)
    torch.testing.assert_close(part[..., 2 * scale :], whole[..., 2902 * scale :], atol=1e-6, rtol=0)


def test_half_precision_around_it_costs_nothing() -> None:
    image = torch.rand(1, 3, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        inside = bicubic_upscale(image, 2)
    assert torch.equal(inside, bicubic_upscale(image, 2))


def test_bicubic_by_one_is_the_image_itself() -> None:
    image = torch.rand(1, 3, 4, 4)
    assert bicubic_upscale(image, 1) is image


def test_halo_on_other_grids() -> None:
    assert finer_halo(0, 2) == 1
    assert finer_halo(3, 2) == 7
    assert coarser_halo(1, 2) == 1
    assert coarser_halo(4, 2) == 2


def test_gradients_pass_an_upscale_that_was_run_without_them_before() -> None:
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    with torch.inference_mode():
        bicubic_upscale(image, 7)
    bicubic_upscale(image, 7).sum().backward()
    assert image.grad is not None
