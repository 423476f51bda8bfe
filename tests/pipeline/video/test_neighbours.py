"""Chains whose stages use neighbouring frames: each frame by its own, whatever the segments and batches."""

import pytest
import torch
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.condition import strengths
from pipeline.condition.strengths import StrengthTable
from pipeline.engine.engine import Engine
from pipeline.video.neighbours import context_of
from stages.dncnn import DnCNNConfig
from stages.layers import bicubic_upscale
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.upscale import BicubicConfig
from tests.pipeline.chains import MeanOfFramesConfig, chain_of, video_chain
from tests.pipeline.video.flowing import restored

MEAN, WIDE = MeanOfFramesConfig(), MeanOfFramesConfig(radius=2)


def clip(count: int, height: int = 18, width: int = 23) -> Tensor:
    """Noise that flickers too little for a cut."""
    generator = torch.Generator().manual_seed(0)
    return 0.5 + 0.1 * torch.rand(count, 3, height, width, generator=generator)


def weighted(images: Tensor, radius: int) -> Tensor:
    """What ``mean_of_frames`` makes of each frame of one scene, by its definition."""
    weights = torch.arange(1.0, 2 * radius + 2) / sum(range(1, 2 * radius + 2))
    made = []
    for number, image in enumerate(images):
        around = [number + shift for shift in range(-radius, radius + 1)]
        window = [images[at] if 0 <= at < len(images) else image for at in around]
        made.append(sum(weight * frame for weight, frame in zip(weights, window, strict=True)))
    return torch.stack(made)


def dncnn_between() -> tuple[Chain, Chain]:
    """A chain with stages of frames before and behind a network, and the network alone."""
    alone = chain_of(DnCNNConfig(depth=3, width=4, batch_norm=False))
    chain = video_chain(MEAN, alone.config.stages[0], WIDE, BicubicConfig(scale=2))
    chain.stages[1].load_state_dict(alone.stages[0].state_dict())
    return chain, alone


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_each_frame_is_what_its_neighbours_make_of_it(count: int) -> None:
    chain, alone = dncnn_between()
    images = clip(count)
    made = restored(Engine(chain, device="cpu"), images)
    network = Engine(alone, device="cpu").run_frames(weighted(images, 1)).pixels
    upscaled = Engine(video_chain(BicubicConfig(scale=2)), device="cpu")
    expected = upscaled.run_frames(weighted(network, 2)).pixels
    assert torch.allclose(made, expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_segments_do_not_matter(size: int) -> None:
    engine, images = Engine(dncnn_between()[0], device="cpu"), clip(9)
    assert torch.equal(restored(engine, images, size=size), restored(engine, images))


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_batches_do_not_matter(batch: int) -> None:
    engine, images = Engine(dncnn_between()[0], device="cpu"), clip(9)
    assert torch.allclose(restored(engine, images, batch=batch, size=4), restored(engine, images), atol=1e-6)


def test_tiles_do_not_matter() -> None:
    chain, images = dncnn_between()[0], clip(5, 70, 133)
    whole, tiled = (restored(Engine(chain, device="cpu", tile=tile), images) for tile in (0, 64))
    assert torch.allclose(whole, tiled, atol=1e-5)


def test_no_window_reaches_over_a_cut() -> None:
    engine = Engine(video_chain(WIDE), device="cpu")
    images = clip(11)
    images[5:] -= 0.4
    made = restored(engine, images, size=4)
    expected = torch.cat([weighted(images[:5], 2), weighted(images[5:], 2)])
    assert torch.allclose(made, expected, atol=1e-6)


def test_damaged_frames_help_no_others_and_are_not_restored() -> None:
    images = clip(5)
    made = restored(Engine(video_chain(MEAN), device="cpu"), images, damaged={2})
    without = weighted(torch.stack([images[0], images[1], images[1]]), 1)
    assert torch.equal(made[2], images[2])
    assert torch.allclose(made[:2], without[:2], atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_strength_that_is_chosen_as_zero_leaves_frames_as_they_are(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    tables = {"temporal_denoise": StrengthTable(axes={"noise": (1000.0, 2000.0)}, values=(0.0, 1.0))}
    monkeypatch.setattr(strengths, "load_tables", lambda: tables)
    stages = TemporalDenoiseConfig(strength="auto"), BicubicConfig(scale=2), TemporalDenoiseConfig(strength="auto")
    images = clip(7)
    made = restored(Engine(Chain.build(ChainConfig(stages=stages)), device="cpu"), images, size=3, batch=batch)
    assert torch.allclose(made, bicubic_upscale(images, 2).clamp(0, 1), atol=1e-6)


def test_a_stage_at_strength_zero_costs_no_frames_around() -> None:
    engine = Engine(video_chain(MeanOfFramesConfig(strength=0.0), BicubicConfig(scale=2)), device="cpu")
    assert context_of(engine.parts()) == 0
