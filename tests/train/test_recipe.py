import pytest
import torch
from pydantic import ValidationError
from torch import Generator

from train.recipe import Blur, Downscale, GaussianNoise, Quantise, Step, degrade, draw, margin

STEPS: list[Step] = [Blur(), Downscale(), GaussianNoise(sigma=[5.0, 30.0]), Quantise()]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
def test_steps_keep_shape_up_to_scale_and_repeat_with_the_seed(step: Step) -> None:
    image = torch.rand(3, 3, 40, 48)
    first, second = (step.apply(image, Generator().manual_seed(5)) for _ in range(2))
    assert first.shape == (3, 3, 40 // step.scale, 48 // step.scale)
    assert torch.equal(first, second)


def test_nothing_outside_the_margin_reaches_the_crop() -> None:
    recipe = [Blur(weights=[1.0, 1.0, 1.0, 1.0, 0.0])]
    outside = margin(recipe)
    image = torch.rand(4, 3, 8 + 2 * outside, 8 + 2 * outside)
    inner = (..., slice(outside, -outside), slice(outside, -outside))
    wide = torch.nn.functional.pad(image, (9, 9, 9, 9), value=1.0)
    alone = degrade(image, recipe, Generator().manual_seed(0))[inner]
    inside = degrade(wide, recipe, Generator().manual_seed(0))[..., 9:-9, 9:-9][inner]
    torch.testing.assert_close(alone, inside, atol=1e-5, rtol=0)


def test_margin_counts_in_clean_pixels_and_divides_by_the_scale() -> None:
    blur = Blur(weights=[0.0, 1.0, 0.0, 0.0, 0.0], defocus=[1.0, 3.0])
    assert margin([]) == 0
    assert margin([blur]) == 4
    assert margin([Downscale(), blur]) == 8
    assert margin([blur, Downscale(factor=3)]) == 6


def test_unblurred_share_stays_sharp() -> None:
    image = torch.rand(2, 3, 32, 32) * 0.9 + 0.05
    none = Blur(weights=[0.0, 0.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(none.apply(image, Generator().manual_seed(0)), image, atol=1e-4, rtol=0)


def test_blur_needs_some_weight() -> None:
    with pytest.raises(ValidationError, match="not be negative, nor all zero"):
        Blur(weights=[0.0] * 5)


def test_draws_fill_their_bounds() -> None:
    drawn = draw([2.0, 5.0], 1000, Generator().manual_seed(0))
    assert 2 <= drawn.min() < 2.1
    assert 4.9 < drawn.max() <= 5
