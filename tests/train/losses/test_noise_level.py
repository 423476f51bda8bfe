import pytest
import torch

from train.losses.noise_level import NoiseLevelTraining, noise_level_of


def levels(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1) / 255


def test_a_level_is_the_root_mean_square_of_each_image() -> None:
    clean = torch.rand(2, 3, 64, 64)
    degraded = clean + torch.randn(clean.shape) * levels(5, 20)
    torch.testing.assert_close(noise_level_of(degraded, clean), levels(5, 20), rtol=0.05, atol=0)


def test_estimates_that_are_too_low_cost_more() -> None:
    training = NoiseLevelTraining(weight=1.0, too_low=0.7)
    low, exact, high = (training.loss(levels(given), levels(19.5)).item() for given in (9.5, 19.5, 39.5))
    assert exact == 0
    assert low == pytest.approx(0.7 / 0.3 * high)


def test_a_share_of_the_batch_is_told_the_truth() -> None:
    estimated = levels(1, 2, 3, 4).requires_grad_()
    given = NoiseLevelTraining(told=0.5).given(estimated, levels(10, 20, 30, 40))
    torch.testing.assert_close(given, levels(10, 20, 3, 4))
    assert not given.requires_grad
