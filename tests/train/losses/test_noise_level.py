from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from stages.stage import Stage
from train.chain.inside import Inside
from train.config import TrainingConfig
from train.losses.noise_level import NoiseLevelTraining, noise_level_of
from train.task import RestorationTask
from train.training import Training, read_training

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "train"


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


def test_a_share_of_the_batch_is_given_the_true_level() -> None:
    estimated = levels(1, 2, 3, 4).requires_grad_()
    given = NoiseLevelTraining(true_share=0.5).given(estimated, levels(10, 20, 30, 40))
    torch.testing.assert_close(given, levels(10, 20, 3, 4))
    assert not given.requires_grad


def test_a_stage_without_estimator_is_refused() -> None:
    with pytest.raises(ValidationError, match="noise_level: dncnn has no estimator"):
        TrainingConfig(stage={"stage": "dncnn"}, trained_for="noise", degradation=[], noise_level={})


@pytest.fixture
def training_step() -> Callable[[float], Stage]:
    """One step with a weight of the estimator's loss; the stage comes back with its gradients."""

    def take(weight: float) -> Stage:
        options = ["stage.depth=4", "stage.width=8", f"noise_level.weight={weight}"]
        config = read_training(CONFIGS / "dncnn_camera.yaml", options).config
        stage = config.stage.build()
        task = RestorationTask(config, stage, Inside(Training.resolve(config).route, torch.device("cpu")))
        task.log = task.log_dict = lambda *values, **options: None  # type: ignore[method-assign]
        clean = torch.rand(4, 3, 16, 16)
        task.training_step((clean + 0.1 * torch.randn_like(clean), clean), 0).backward()
        return stage

    return take


def test_a_training_step_trains_network_and_estimator(training_step: Callable[[float], Stage]) -> None:
    stage = training_step(0.1)
    for layer in (stage.model[-1], stage.estimator.layers[-1]):
        assert layer.weight.grad.abs().max() > 0


def test_an_estimator_without_a_weight_stays_as_it_is(training_step: Callable[[float], Stage]) -> None:
    stage = training_step(0)
    assert stage.model[-1].weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in stage.estimator.parameters())
