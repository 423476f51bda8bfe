"""Scenes: where they begin, and that each has strengths of its own."""

import pytest
import torch
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.condition import strengths
from pipeline.condition.strengths import StrengthTable
from pipeline.engine.engine import Engine
from pipeline.video.neighbours import context_of
from pipeline.video.scenes import in_scenes, is_cut
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.video.flowing import segments_of


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


def chosen(engine: Engine, images: Tensor, size: int = 250) -> list[float]:
    """Return the strength of each frame."""
    return [
        frame.scene.parts[0].chain.strengths[0]
        for segment in segments_of(images, engine.parts(), size)
        for frame in in_scenes(segment, size)
        if 0 <= frame.origin.place < size
    ]


def test_strengths_change_with_the_scene_and_only_there(engine: Engine) -> None:
    found = chosen(engine, frames())
    assert found == [found[0]] * 3 + [found[3]] * 3
    assert found[3] > 2 * found[0]


def test_a_damaged_frame_chooses_nothing(engine: Engine) -> None:
    images = frames()[:3]
    images[0] = 0.5
    (segment,) = segments_of(images, engine.parts(), 250, damaged={0})
    *_, last = in_scenes(segment, 250)
    assert last.scene.parts[0].chain.strengths[0] == chosen(engine, images[1:])[0]


def test_a_segment_that_begins_with_a_scene_chooses_alike(engine: Engine) -> None:
    assert chosen(engine, frames(), size=3) == chosen(engine, frames())


def test_frames_around_a_segment_are_restored_as_it_is(engine: Engine) -> None:
    same = frames()[:3].repeat(2, 1, 1, 1)
    segments = list(segments_of(same, engine.parts(), 2))
    scenes = {frame.scene for frame in in_scenes(segments[1], 2)}
    assert len(scenes) == 1


def test_frames_around_a_segment_beyond_a_cut_are_left_out(engine: Engine) -> None:
    segments = list(segments_of(frames(), engine.parts(), 3))
    for segment in segments:
        assert [frame.origin.place for frame in in_scenes(segment, 3)] == [0, 1, 2]


def test_without_automatic_strengths_no_frames_around_are_read(engine: Engine) -> None:
    assert context_of(engine.with_strengths({"unsharp_mask": 0.5}).parts()) == 0


def cuts(*levels: float) -> list[int]:
    """Return where scenes begin in a video of frames of these gray levels, with a little motion in all of them."""
    ramp = torch.linspace(0, 1, 16).repeat(9, 1)
    thumbnails = [level / 255 + 0.002 * torch.roll(ramp, number, 1) for number, level in enumerate(levels)]
    return [at for at in range(len(levels)) if is_cut(thumbnails[max(0, at - 3) : at], thumbnails[at : at + 3])]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([80] * 5 + [140] * 5, [5]),  # a cut
        ([80] * 5 + [92] * 5, [5]),  # one between scenes that are alike, but still
        ([80, 140], [1]),
        ([140] + [80] * 5, [1]),
        ([80] * 5 + [200] + [80] * 5, []),  # a flash
        ([80] * 5 + [200] * 2 + [80] * 5, []),  # of two frames
        ([80] * 5 + [200] * 3 + [80] * 5, [5, 8]),  # too long for one
        (list(range(60, 180, 12)), []),  # a fade
        ([80, 82, 97, 123, 161, 187, 204, 208, 209], []),  # the fastest motion of real videos
        ([80, 84, 88, 92, 160, 164, 168, 172], [4]),  # a cut between scenes in motion
        ([60, 60, 75, 75, 90, 90, 105, 105], []),  # one in which every frame is repeated
        ([80] * 4 + [80.0] * 4, []),
    ],
)  # fmt: skip
def test_cuts_are_found(levels: list[float], expected: list[int]) -> None:
    assert cuts(*levels) == expected
