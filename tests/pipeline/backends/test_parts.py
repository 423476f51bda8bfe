"""Images split into parts that run in parallel: the result of the whole image, and all threads busy."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.backends.conversion import Images
from pipeline.backends.parts import in_parts
from stages.edsr import EDSRConfig
from stages.stage import Stage
from stages.unet import UNetConfig


def networks() -> list[Stage]:
    """Build one that upscales, and one with a grid that parts must respect."""
    torch.manual_seed(0)
    unet = UNetConfig(width=4, levels=2, unshuffle=2, residual=True).build()
    torch.nn.init.normal_(unet.tail.weight)
    return [EDSRConfig(scale=2, width=4, depth=1).build().eval(), unet.eval()]


@torch.inference_mode()
def run_in_torch(stage: Stage, images: Images) -> Images:
    return stage(torch.from_numpy(np.ascontiguousarray(images))).numpy()


@pytest.mark.parametrize("shape", [(1, 3, 20, 132), (1, 3, 132, 20), (3, 3, 64, 40), (1, 3, 4, 4)])
@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("stage", networks(), ids=["edsr", "unet"])
def test_parts_make_the_whole(stage: Stage, at_once: int, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    made = in_parts(lambda part: run_in_torch(stage, part), stage, at_once)(images)
    np.testing.assert_allclose(made, run_in_torch(stage, images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 3, 8, 64), (2, 3, 8, 32), (4, 3, 2, 2)])
def test_all_run_at_once(shape: tuple[int, ...]) -> None:
    """Each waits for the three others, and would do so in vain."""
    meeting = threading.Barrier(4, timeout=10)

    def run(part: Images) -> Images:
        meeting.wait()
        return part

    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    stage = Stage()
    stage.halo = 3
    assert np.array_equal(in_parts(run, stage, 4)(images), images)


class GlobalStage(Stage):
    """Every pixel depends on all."""

    halo = None

    def forward(self, image: Tensor) -> Tensor:
        return image - image.mean()


def test_what_sees_everything_is_given_the_whole() -> None:
    stage = GlobalStage()
    images = np.random.default_rng(0).random((2, 3, 8, 64), dtype=np.float32)
    made = in_parts(lambda part: run_in_torch(stage, part), stage, 4)(images)
    expected = [run_in_torch(stage, image[None])[0] for image in images]
    np.testing.assert_allclose(made, expected, atol=1e-6, rtol=0)
