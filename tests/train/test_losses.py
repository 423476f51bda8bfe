import pytest
import torch
from pydantic import TypeAdapter

from train.config import TrainingConfig
from train.losses import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_as_the_image_nears_the_clean_one(name: str) -> None:
    clean = torch.rand(2, 3, 8, 8)
    far, near = (torch.nn.Parameter(clean + distance * torch.randn_like(clean)) for distance in (0.2, 0.05))
    loss = LOSSES[name](far, clean)
    assert loss.ndim == 0
    assert loss > LOSSES[name](near, clean) > LOSSES[name](clean, clean)
    loss.backward()
    assert far.grad is not None
    assert far.grad.isfinite().all()


def test_every_loss_can_be_named_in_a_yaml() -> None:
    schema = TypeAdapter(TrainingConfig.model_fields["loss"].annotation).json_schema()
    assert schema["enum"] == sorted(LOSSES)
