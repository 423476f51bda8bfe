"""Each scene of a video has strengths of its own."""

import pytest
import torch
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.condition import strengths
from pipeline.condition.strengths import StrengthTable
from pipeline.engine.engine import Engine
from pipeline.video.scenes import Scenes
from stages.unsharp_mask import UnsharpMaskConfig


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    tables = {"unsharp_mask": StrengthTable(axes={"noise": (0, 20)}, values=(0.0, 1.0))}
    monkeypatch.setattr(strengths, "load_tables", lambda: tables)
    return Engine(Chain.build(ChainConfig(stages=(UnsharpMaskConfig(strength="auto"),))), device="cpu")


def frames() -> Tensor:
    """Two scenes of three frames: dark with noise 4, and bright with noise 12."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(6, 3, 64, 64, generator=generator)
    level, sigma = torch.tensor([80.0] * 3 + [170.0] * 3), torch.tensor([4.0] * 3 + [12.0] * 3)
    return (level.view(6, 1, 1, 1) + noise * sigma.view(6, 1, 1, 1)).clamp(0, 255) / 255


def chosen(scenes: Scenes, images: Tensor, batch: int) -> list[float]:
    """Return the strength of each frame."""
    parts = [part for start in range(0, len(images), batch) for part in scenes.parts(images[start : start + batch])]
    return [made.chain.strengths[0] for part, made in parts for _ in part]


def test_strengths_change_with_the_scene_and_only_there(engine: Engine) -> None:
    found = chosen(Scenes(engine), frames(), 1)
    assert found == [found[0]] * 3 + [found[3]] * 3
    assert found[3] > 2 * found[0]


@pytest.mark.parametrize("batch", [2, 4, 6])
def test_batches_do_not_matter(engine: Engine, batch: int) -> None:
    assert chosen(Scenes(engine), frames(), batch) == chosen(Scenes(engine), frames(), 1)


def test_a_part_that_begins_with_a_scene_chooses_alike(engine: Engine) -> None:
    assert chosen(Scenes(engine), frames()[3:], 1) == chosen(Scenes(engine), frames(), 1)[3:]


def test_without_automatic_strengths_nothing_is_measured(engine: Engine) -> None:
    given = engine.with_strengths({"unsharp_mask": 0.5})
    scenes = Scenes(given)
    [(part, made)] = scenes.parts(frames())
    assert (len(part), made) == (6, given)
