import torch
from torch import Tensor

from stages.noise_estimator import NoiseEstimator


def trained(steps: int = 120) -> NoiseEstimator:
    """An estimator that has seen white noise of 0 to 40 gray levels on slopes."""
    torch.manual_seed(0)
    estimator = NoiseEstimator(16)
    optimizer = torch.optim.Adam(estimator.parameters(), lr=2e-2)
    for _ in range(steps):
        image, level = noisy(torch.rand(8) * 40)
        error = ((estimator(image).flatten() * 255 + 1).log() - (level + 1).log()).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return estimator


def noisy(level: Tensor, side: int = 64) -> tuple[Tensor, Tensor]:
    slope = torch.linspace(0.3, 0.7, side).expand(len(level), 3, side, side)
    return slope + torch.randn(slope.shape) * level.view(-1, 1, 1, 1) / 255, level


def test_it_learns_the_level_of_white_noise_on_slopes() -> None:
    estimator = trained()
    for side in (64, 150):
        image, level = noisy(torch.tensor([5.0, 15.0, 30.0]), side)
        torch.testing.assert_close(estimator(image).flatten() * 255, level, rtol=0.25, atol=0.5)


def test_every_image_has_a_level_of_its_own_however_small() -> None:
    estimator = NoiseEstimator(4)
    torch.nn.init.normal_(estimator.layers[-1].weight)
    images = torch.rand(2, 3, 5, 7) * torch.tensor([1.0, 0.1]).view(2, 1, 1, 1)
    levels = estimator(images)
    assert estimator(images[..., :1, :1]).isfinite().all()
    assert levels.shape == (2, 1, 1, 1)
    torch.testing.assert_close(levels[1:], estimator(images[1:]))
    assert levels[0] != levels[1]


def test_half_precision_and_autocast_keep_the_level() -> None:
    estimator = NoiseEstimator(4)
    torch.nn.init.normal_(estimator.layers[-1].weight, std=0.1)
    image, _ = noisy(torch.tensor([2.0]))
    expected = estimator(image)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(estimator(image), expected, rtol=0.05, atol=0)
