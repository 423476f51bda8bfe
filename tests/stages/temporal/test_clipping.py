import numpy as np
import pytest

from stages.temporal.clipping import before_clipping, lift

SIGMA = 0.1


def clipped(value: float) -> np.ndarray:
    return np.random.default_rng(0).normal(value, SIGMA, 200_000).clip(0, 1)


@pytest.mark.parametrize("value", [0.0, 0.05, 0.15, 0.5, 0.9, 1.0])
def test_the_mean_of_clipped_noise_is_put_right(value: float) -> None:
    noisy = clipped(value)
    mean, deviation = np.full(1, noisy.mean()), np.full(1, noisy.std())
    sigma = before_clipping(deviation, mean)
    assert sigma == pytest.approx(SIGMA, rel=0.02)
    assert mean - lift(mean, sigma) == pytest.approx(value, abs=0.002)


def test_nothing_changes_without_noise_or_far_from_black_and_white() -> None:
    mean = np.linspace(0, 1, 11)
    assert not lift(mean, np.full_like(mean, 1e-6)).any()
    assert not lift(mean[5:6], np.full(1, SIGMA)).any()


def test_the_result_is_never_below_black_or_above_white() -> None:
    mean = np.linspace(0, 1, 101)
    result = mean - lift(mean, np.full_like(mean, 0.2))
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6
