"""Copies to the device and back: none on a CPU, the very numbers from a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.transfer import Download, down, up

CPU = torch.device("cpu")


def test_on_a_cpu_nothing_is_copied() -> None:
    tensor = torch.rand(3, 4)
    assert up(tensor, CPU) is tensor
    assert down(tensor).result() is tensor


def interleaved(planes: Tensor) -> Tensor:
    """The same numbers, laid out as pictures have them."""
    return planes.permute(1, 2, 0).contiguous().permute(2, 0, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("index", [0, -1])
def test_streams_carry_the_very_numbers(index: int) -> None:
    """Many copies are under way at once, over memory that is given back as early as can be, while the device works."""
    device = torch.device("cuda", index % torch.cuda.device_count())
    load = torch.rand(2048, 2048, device=device)
    sources = [torch.randint(0, 256, (3, 500 + number, 700), dtype=torch.uint8) for number in range(40)]
    coming: list[Download] = []
    for number, source in enumerate(sources):
        there = up(interleaved(source) if number % 2 else source, device)
        load = load @ load / 1000  # keeps what comes behind it waiting
        made = (there + 1)[:, 1:, 1:]  # not contiguous
        coming.append(down(made))
        del there, made
    for source, download in zip(sources, coming, strict=True):
        assert torch.equal(download.result(), (source + 1)[:, 1:, 1:])
