import pytest
import torch

from pipeline.errors import ConfigError
from train.precision import lightning_precision, tf32_allowed


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without an accelerator, whose processor knows fp32 only."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("pipeline.device.computing.cpu_is_faster_in_bf16", lambda: False)
    return monkeypatch


def test_a_given_precision_is_kept(machine: pytest.MonkeyPatch) -> None:
    assert lightning_precision("bf16", "cpu") == "bf16-mixed"


def test_float16_needs_a_gpu(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="got fp16, which needs a GPU"):
        lightning_precision("fp16", "auto")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision: got '16-mixed', expected one of auto, fp32, fp16, bf16"):
        lightning_precision("16-mixed", "cpu")


def test_cpu_trains_in_bf16_only_where_it_is_faster(machine: pytest.MonkeyPatch) -> None:
    machine.setattr("pipeline.device.computing.cpu_is_faster_in_bf16", lambda: False)
    assert lightning_precision("auto", "auto") == "32-true"
    machine.setattr("pipeline.device.computing.cpu_is_faster_in_bf16", lambda: True)
    assert lightning_precision("auto", "cpu") == "bf16-mixed"


def test_apple_gpu_trains_in_fp32(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    machine.setattr("pipeline.device.computing.cpu_is_faster_in_bf16", lambda: True)
    assert lightning_precision("auto", "auto") == "32-true"


@pytest.mark.parametrize(("bf16", "chosen"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_gpu_trains_in_half_precision(machine: pytest.MonkeyPatch, bf16: bool, chosen: str) -> None:
    machine.setattr(torch.cuda, "device_count", lambda: 1)
    machine.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert lightning_precision("auto", "auto") == chosen
    assert lightning_precision("auto", "cpu") == "32-true", "the processor's own choice"


@pytest.mark.parametrize(("device", "inside"), [("cuda", "high"), ("cpu", "highest")])
def test_tf32_is_allowed_on_cuda_for_the_training_alone(device: str, inside: str) -> None:
    with tf32_allowed(torch.device(device)):
        assert torch.get_float32_matmul_precision() == inside
    assert torch.get_float32_matmul_precision() == "highest"
