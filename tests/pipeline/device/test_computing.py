import pytest
import torch

from pipeline.device import computing


@pytest.mark.parametrize(
    ("instructions", "seconds_in_bf16", "faster"), [(True, 0.5, True), (True, 1.6, False), (False, 0.5, False)]
)
def test_bf16_is_chosen_by_time_not_by_instructions(
    instructions: bool, seconds_in_bf16: float, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.bfloat16: seconds_in_bf16, torch.float32: 1.0}
    monkeypatch.setattr(computing, "cpu_computes_in_bf16", lambda: instructions)
    monkeypatch.setattr(computing, "_matmul_seconds", seconds.__getitem__)
    assert computing.cpu_is_faster_in_bf16.__wrapped__() is faster
