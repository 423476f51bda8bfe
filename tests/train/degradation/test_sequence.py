import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Generator

from train.degradation.sequence import (
    Blur,
    CameraNoise,
    Degradation,
    Downscale,
    GaussianNoise,
    Jpeg,
    PoissonGaussianNoise,
    Quantise,
    Shake,
    Shuffled,
    Step,
    degrade,
    margin,
    scale,
)
from train.degradation.steps import StratifiedGenerator, draw

STEPS: list[Step] = [
    Blur(),
    Blur(places=2),
    Blur(objects=0.7),
    Shake(),
    Downscale(),
    Downscale(method="area"),
    Downscale(method="lanczos"),
    GaussianNoise(sigma=[5.0, 30.0]),
    PoissonGaussianNoise(photons=[50.0, 500.0]),
    CameraNoise(),
    Jpeg(quality=[20.0, 90.0]),
    Jpeg(quality=[20.0, 90.0], chroma="full"),
    Quantise(),
    Shuffled(steps=[Downscale(), GaussianNoise(sigma=[5.0, 30.0]), Jpeg(quality=[20.0, 90.0])]),
    GaussianNoise(sigma=[5.0, 30.0], probability=0.5),
]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
def test_steps_keep_shape_up_to_scale_and_repeat_with_the_seed(step: Step) -> None:
    image = torch.rand(3, 3, 40, 48)
    first, second = (degrade(image, [step], seeded(5)) for _ in range(2))
    assert first.shape == (3, 3, 40 // step.scale, 48 // step.scale)
    assert torch.equal(first, second)


@pytest.mark.gpu
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
def test_steps_run_where_the_images_are(step: Step) -> None:
    image = torch.rand(3, 3, 40, 48, device="cuda")
    first, second = (degrade(image, [step], Generator("cuda").manual_seed(5)) for _ in range(2))
    assert first.is_cuda
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


MADE_BEFORE: list[tuple[Degradation, list[float]]] = [
    ([GaussianNoise(sigma=[5.0, 30.0])], [0.31108, 0.42598, 0.56451, 0.70252, 0.83466, 0.02851]),
    ([Blur()], [0.56158, 0.57145, 0.57143, 0.60933, 0.60877, 0.5455]),
    ([Blur(weights=[0.0, 0.0, 1.0, 1.0, 0.0])], [0.45409, 0.50835, 0.62527, 0.44749, 0.51023, 0.63237]),
    (
        [Blur(), GaussianNoise(sigma=[0.0, 3.0]), Quantise(), Downscale()],
        [0.59216, 0.60784, 0.60392, 0.6, 0.6, 0.62745],
    ),
]


@pytest.mark.parametrize(("degradation", "expected"), MADE_BEFORE)
def test_sets_made_before_stay_the_same(degradation: Degradation, expected: list[float]) -> None:
    """The order of random draws is a promise: scores are measured on them."""
    image = (torch.arange(2 * 3 * 12 * 12).view(2, 3, 12, 12) * 37 % 256) / 255
    result = degrade(image, degradation, seeded(3))[:, 1, 3, 2:5]
    torch.testing.assert_close(result.flatten(), torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "degradation",
    [
        [Blur(weights=[1.0, 1.0, 1.0, 1.0, 0.0])],
        [Jpeg(quality=[30.0, 60.0])],
        [Jpeg(quality=[30.0, 60.0], chroma="full")],
    ],
    ids=["blur", "jpeg, half", "jpeg, full"],
)
def test_nothing_outside_the_margin_reaches_the_crop(degradation: Degradation) -> None:
    outside = margin(degradation)
    image = torch.rand(4, 3, 8 + 2 * outside, 8 + 2 * outside)
    inner = (..., slice(outside, -outside), slice(outside, -outside))
    wide = torch.nn.functional.pad(image, (16, 16, 16, 16), value=1.0)
    alone = degrade(image, degradation, seeded())[inner]
    inside = degrade(wide, degradation, seeded())[..., 16:-16, 16:-16][inner]
    torch.testing.assert_close(alone, inside, atol=1e-5, rtol=0)


def test_margin_counts_in_clean_pixels_and_divides_by_the_scale() -> None:
    blur = Blur(weights=[0.0, 1.0, 0.0, 0.0, 0.0], defocus=[1.0, 3.0])
    assert margin([]) == 0
    assert margin([blur]) == 4
    assert margin([Downscale(), blur]) == 8
    assert margin([blur, Downscale(factor=3)]) == 6
    assert margin([Shuffled(steps=[blur, Downscale()])]) == 8


def test_scale_is_that_of_all_steps() -> None:
    assert scale([]) == 1
    assert scale([Downscale(), Shuffled(steps=[Quantise(), Downscale(factor=3)])]) == 6


def test_shuffled_steps_run_in_every_order() -> None:
    image = torch.full((1, 3, 8, 8), 100.4 / 255)
    shuffled = Shuffled(steps=[Quantise(), GaussianNoise(sigma=[1.0, 1.0])])
    levels = [shuffled.apply(image, seeded(seed)) * 255 for seed in range(12)]
    rounded_last = [bool(torch.allclose(level, level.round(), atol=1e-3)) for level in levels]
    assert 0 < sum(rounded_last) < 12


def test_probability_is_the_share_of_images() -> None:
    image = torch.rand(400, 1, 2, 2)
    noisy = degrade(image, [GaussianNoise(sigma=[9.0, 9.0], probability=0.25)], seeded())
    changed = (noisy != image).any(dim=(1, 2, 3))
    assert changed.float().mean().item() == pytest.approx(0.25, abs=0.06)
    assert torch.equal(degrade(image, [GaussianNoise(sigma=[9.0, 9.0], probability=0.0)], seeded()), image)


def test_a_smaller_image_cannot_be_a_matter_of_probability() -> None:
    with pytest.raises(ValidationError, match="must happen to all of them"):
        Downscale(probability=0.5)
    with pytest.raises(ValidationError, match="must happen to all of them"):
        Shuffled(steps=[Quantise(), Downscale()], probability=0.5)


def test_degradations_of_plain_values_may_nest() -> None:
    steps = [{"kind": "quantise"}, {"kind": "shuffled", "steps": [{"kind": "downscale"}, {"kind": "blur"}]}]
    degradation = TypeAdapter(Degradation).validate_python([{"kind": "shuffled", "steps": steps}])
    assert degradation == [Shuffled(steps=[Quantise(), Shuffled(steps=[Downscale(), Blur()])])]


def test_ways_of_downscaling_are_drawn_by_their_shares() -> None:
    image = torch.rand(1, 3, 16, 16).expand(400, 3, 16, 16)
    mixed = Downscale(method={"area": 0.75, "aliased": 0.25, "lanczos": 0.0}).apply(image, seeded())
    by_area = Downscale(method="area").apply(image[:1], seeded())
    aliased = Downscale(method="aliased").apply(image[:1], seeded())
    is_by_area = (mixed == by_area).flatten(1).all(dim=1)
    assert is_by_area.float().mean().item() == pytest.approx(0.75, abs=0.06)
    assert torch.equal(mixed[~is_by_area], aliased.expand_as(mixed[~is_by_area]))


def test_some_way_of_downscaling_must_be_left() -> None:
    with pytest.raises(ValidationError, match="shares must not all be zero"):
        Downscale(method={"area": 0.0})


def test_unblurred_share_stays_sharp() -> None:
    image = torch.rand(2, 3, 32, 32) * 0.9 + 0.05
    none = Blur(weights=[0.0, 0.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(none.apply(image, seeded()), image, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "step", [Blur(weights=[1.0, 0.0, 0.0, 0.0, 0.0], linear_light=0.4), Shake(linear_light=0.4)], ids=["blur", "shake"]
)
def test_light_is_averaged_in_the_share_asked_for(step: Step) -> None:
    """Black and white pixels in turn give more light than the mean of their values."""
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(16, 16).expand(100, 3, 32, 32)
    brightness = step.apply(board, seeded())[..., 10:22, 10:22].mean(dim=(1, 2, 3))
    assert (brightness > 0.55).float().mean().item() == pytest.approx(0.4, abs=0.15)
    assert (brightness - 0.5).abs().min() < 0.01


def test_blur_needs_some_weight() -> None:
    with pytest.raises(ValidationError, match="not be negative, nor all zero"):
        Blur(weights=[0.0] * 5)


def test_jpeg_knows_its_qualities() -> None:
    with pytest.raises(ValidationError, match="expected two numbers from 1 to 100"):
        Jpeg(quality=[0.0, 90.0])


def test_draws_fill_their_bounds() -> None:
    drawn = draw([2.0, 5.0], 1000, seeded())
    assert 2 <= drawn.min() < 2.1
    assert 4.9 < drawn.max() <= 5


def test_gray_noise_is_the_same_in_all_channels() -> None:
    image = torch.zeros(8, 3, 4, 4)
    noisy = GaussianNoise(sigma=[9.0, 9.0], gray=0.5).apply(image, Generator().manual_seed(0))
    same = (noisy == noisy[:, :1]).flatten(1).all(dim=1)
    assert 0 < same.sum() < len(same)
    assert noisy.flatten(1).std(dim=1).min() > 4 / 255


def test_stratified_draws_cover_their_range() -> None:
    generator = StratifiedGenerator()
    generator.manual_seed(0)
    sigmas = draw([0.0, 32.0], 16, generator).sort().values
    strata = torch.arange(16) * 2.0
    assert ((sigmas >= strata) & (sigmas <= strata + 2)).all()
    noisy = degrade(torch.zeros(16, 3, 8, 8), [GaussianNoise(sigma=[5.0, 30.0], probability=0.25)], generator)
    assert noisy.flatten(1).any(dim=1).sum() == 4
    kinds = Blur(weights=[1.0, 0.0, 0.0, 0.0, 3.0]).kernels(16, generator)
    assert (kinds.flatten(1).amax(dim=1) > 0.99).sum() == 12
