"""Compiled stages: which shapes are compiled, and what happens where compiling fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.backends.compiled import MOST_SHAPES, CompiledStage, Run
from pipeline.backends.half import with_half_weights
from pipeline.chain.chain import Chain
from pipeline.device.computing import computing
from pipeline.engine.engine import Engine
from stages.edsr import EDSRConfig
from stages.stage import Stage
from stages.unsharp_mask import UnsharpMaskConfig


def compiler(seen: list[tuple[int, ...]]) -> Callable[[Stage], Run]:
    """Return a fake compiler; its functions record the shapes of their images."""

    def compile(stage: Stage, image: Tensor) -> Run:
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
    def broken(stage: Stage, image: Tensor) -> Run:
        raise RuntimeError("no C++ compiler")

    original = UnsharpMaskConfig().build()
    stage, image = CompiledStage(original, 0, broken), torch.rand(1, 3, 8, 8)
    for _ in range(2):
        assert torch.equal(stage(image), original(image))
    assert caplog.messages == ["UnsharpMask is not compiled: no C++ compiler"]
    assert stage.label == "torch"


def test_full_memory_is_no_failure_to_compile() -> None:
    def hungry(stage: Stage, image: Tensor) -> Run:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        CompiledStage(UnsharpMaskConfig().build(), 0, hungry)(torch.rand(1, 3, 8, 8))


def test_the_label_states_the_compile_time() -> None:
    stage = CompiledStage(UnsharpMaskConfig().build(), 1, compiler([]))
    stage(torch.rand(1, 3, 8, 8))
    assert stage.label == "torch"
    stage(torch.rand(1, 3, 8, 8))
    assert re.fullmatch(r"torch compiled in \d\.\d s", stage.label)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stage_is_one_graph(precision: str) -> None:
    """Graph breaks would leave inductor little to melt; bicubic upscaling's filters are constants to it."""
    stage = EDSRConfig(depth=1, width=4, upsampler="direct", bicubic_skip=True).build().eval()
    halved, image = with_half_weights(stage, torch.bfloat16), torch.rand(1, 3, 8, 8)
    with computing(torch.device("cpu"), precision):
        run = torch.compile(halved, backend="eager", dynamic=False, fullgraph=True)
        assert torch.equal(run(image), stage(image))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_compiled_chain_makes_the_same_image(precision: str) -> None:
    """For any order of sizes, and in threads that end, as those of videos do."""
    path = Path(__file__).parents[3] / "configs" / "restore_x2.yaml"
    photos = [np.random.default_rng(0).integers(0, 256, (96, width, 3), np.uint8) for width in (128, 160)]
    plain = Engine(Chain.load(path), device="cuda", precision=precision)
    compiled = Engine(Chain.load(path), device="cuda", precision=precision, compile="on")
    expected = [plain.run(photo).pixels.astype(int) for photo in photos]
    for _ in range(3):
        with ThreadPoolExecutor(1) as thread:
            for photo, pixels in zip(photos, expected, strict=True):
                result = thread.submit(compiled.run, photo).result()
                assert np.abs(result.pixels - pixels).max() <= 2
    assert all(label.startswith("torch compiled in") for label in result.backends.values())
