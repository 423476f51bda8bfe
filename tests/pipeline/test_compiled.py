"""Compiled stages: which shapes are compiled, and what happens where that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.backends import prepare_compiling
from pipeline.backends.compiled import MOST_SHAPES, CompiledStage, Run
from pipeline.chain import Chain
from pipeline.config import ChainConfig
from pipeline.engine import Engine
from pipeline.errors import ConfigError
from stages.stage import Stage
from stages.unsharp_mask import UnsharpMaskConfig


def compiler(seen: list[tuple[int, ...]]) -> Callable[[Stage], Run]:
    """Return a stand-in for the compiler; what it makes notes the shapes that it is given."""

    def compile(stage: Stage) -> Run:
        def run(image: Tensor) -> Tensor:
            seen.append(tuple(image.shape[-2:]))
            return stage(image)

        return run

    return compile


def test_only_shapes_that_come_often_are_compiled() -> None:
    seen: list[tuple[int, ...]] = []
    original = UnsharpMaskConfig().build()
    stage = CompiledStage(original, 2, compiler(seen))
    images = [torch.rand(1, 3, 8, 8) for _ in range(4)] + [torch.rand(1, 3, 8, 9)]
    for image in images:
        assert torch.equal(stage(image), original(image))
    assert seen == [(8, 8), (8, 8)]


def test_no_more_shapes_than_memory_holds() -> None:
    seen: list[tuple[int, ...]] = []
    stage = CompiledStage(UnsharpMaskConfig().build(), 0, compiler(seen))
    for width in range(8, 8 + 2 * MOST_SHAPES):
        stage(torch.rand(1, 3, 8, width))
    assert len(seen) == MOST_SHAPES


def test_where_compiling_fails_the_stage_runs_on(caplog: pytest.LogCaptureFixture) -> None:
    def broken(stage: Stage) -> Run:
        def run(image: Tensor) -> Tensor:
            raise RuntimeError("no C++ compiler")

        return run

    original = UnsharpMaskConfig().build()
    stage, image = CompiledStage(original, 0, broken), torch.rand(1, 3, 8, 8)
    for _ in range(2):
        assert torch.equal(stage(image), original(image))
    assert caplog.messages == ["torch cannot compile UnsharpMask, which runs on without: no C++ compiler"]


def test_full_memory_is_no_failure_to_compile() -> None:
    def hungry(stage: Stage) -> Run:
        def run(image: Tensor) -> Tensor:
            raise torch.OutOfMemoryError

        return run

    with pytest.raises(torch.OutOfMemoryError):
        CompiledStage(UnsharpMaskConfig().build(), 0, hungry)(torch.rand(1, 3, 8, 8))


def test_the_words() -> None:
    chain, cpu, gpu = Chain.build(ChainConfig(stages=(UnsharpMaskConfig(),))), torch.device("cpu"), torch.device("cuda")
    assert prepare_compiling(chain, "auto", cpu) is chain
    assert prepare_compiling(chain, "off", gpu) is chain
    once = prepare_compiling(chain, "auto", gpu)
    assert isinstance(once.stages[0], CompiledStage)
    assert prepare_compiling(once, "on", gpu).stages == once.stages
    with pytest.raises(ConfigError, match="--compile on: gains nothing on cpu"):
        prepare_compiling(chain, "on", cpu)
    with pytest.raises(ConfigError, match="--compile: got 'yes', expected one of auto, on, off"):
        prepare_compiling(chain, "yes", cpu)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_compiled_chain_makes_the_same_picture(precision: str) -> None:
    chain = Chain.load(Path(__file__).parents[2] / "configs" / "restore_x2.yaml")
    photo = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    plain = Engine(chain, device="cuda", precision=precision)
    compiled = Engine(chain, device="cuda", precision=precision, compile="on")
    expected = plain.run(photo).pixels.astype(int)
    for _ in range(4):  # graphs are captured after some runs
        assert np.abs(compiled.run(photo).pixels - expected).max() <= 2
