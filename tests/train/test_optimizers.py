import pytest
import torch
from torch import nn

from train.optimizers import build_muon, orthogonalisation_dtype


@pytest.mark.parametrize(
    ("device", "has_bf16", "expected"),
    [("cpu", False, torch.float32), ("cpu", True, torch.bfloat16), ("cuda", False, torch.bfloat16)],
)
def test_only_processors_that_emulate_bf16_orthogonalise_in_float32(
    device: str, has_bf16: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.optimizers.cpu_is_faster_in_bf16", lambda: has_bf16)
    assert orthogonalisation_dtype(device) == expected


def step_of(has_bf16: bool, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr("train.optimizers.cpu_is_faster_in_bf16", lambda: has_bf16)
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
    weight.grad = torch.randn(weight.shape, generator=generator)
    build_muon([weight], learning_rate=1.0, weight_decay=0.0, device="cpu").step()
    return weight.detach()


def test_the_precision_reaches_the_step_and_changes_it_little(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, rounded = step_of(False, monkeypatch), step_of(True, monkeypatch)
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, atol=0.05 * exact.abs().max().item(), rtol=0)
