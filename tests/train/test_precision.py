import pytest
import torch

from pipeline.errors import ConfigError
from train.precision import choose_precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without an accelerator, whose processor knows fp32 only."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return monkeypatch


def test_a_given_precision_is_kept(machine: pytest.MonkeyPatch) -> None:
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"


def test_float16_needs_a_gpu(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="got 16-mixed, which needs a GPU"):
        choose_precision("16-mixed", "auto")


def test_cpu_learns_in_bf16_only_where_it_computes_in_it(machine: pytest.MonkeyPatch) -> None:
    assert choose_precision("auto", "auto") == "32"
    machine.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", "cpu") == "bf16-mixed"
    assert choose_precision("auto", "mps") == "32"


@pytest.mark.parametrize(("bf16", "chosen"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_gpu_learns_in_half_precision(machine: pytest.MonkeyPatch, bf16: bool, chosen: str) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert choose_precision("auto", "auto") == chosen
    assert choose_precision("auto", "cpu") == "32", "the processor's own choice"
