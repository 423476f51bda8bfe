"""Videos through chains that use neighbouring frames: the same bytes, however the work is divided."""

from pathlib import Path

import pytest

from pipeline.chain.chain import Chain
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.chains import MeanOfFramesConfig, video_chain
from tests.pipeline.video import clips
from tests.pipeline.video.flowing import write_moving
from tests.pipeline.video.restoring import planes, restoration, times

SEGMENT = 4


def chain() -> Chain:
    return video_chain(MeanOfFramesConfig(), UnsharpMaskConfig(), MeanOfFramesConfig(radius=2))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_moving(tmp_path / "clip.mp4")


@pytest.fixture
def whole(source: Path, tmp_path: Path) -> bytes:
    """The result of one pass."""
    target = tmp_path / "whole.mp4"
    restoration(source, target, chain(), segment=SEGMENT).run(target)
    assert times(target) == times(source)
    return target.read_bytes()


def test_neighbours_are_used_up_to_the_cut(source: Path, tmp_path: Path) -> None:
    """All frames change a little; none by as much as by a frame of the other scene."""
    made = {}
    for name, config in (("mean", MeanOfFramesConfig()), ("alone", UnsharpMaskConfig(strength=0.0))):
        target = tmp_path / f"{name}.mkv"
        restoration(source, target, video_chain(config), codec="ffv1", segment=SEGMENT).run(target)
        made[name] = [luma.reshape(-1)[: 33 * 23].astype(float) for luma in planes(target)]
    changes = [abs(one - other).mean() for one, other in zip(made["mean"], made["alone"], strict=True)]
    assert min(changes) > 0.1
    assert max(changes) < 10  # 90 between the scenes


@pytest.mark.parametrize("frames", [1, 4, 9, 13])
def test_an_interrupted_run_is_resumed(source: Path, tmp_path: Path, whole: bytes, frames: int) -> None:
    def interrupt(progress) -> None:
        if progress.frames == frames:
            raise KeyboardInterrupt

    target = tmp_path / "resumed.mp4"
    with pytest.raises(KeyboardInterrupt):
        restoration(source, target, chain(), interrupt, segment=SEGMENT).run(target)
    resumed = restoration(source, target, chain(), segment=SEGMENT).run(target)
    assert target.read_bytes() == whole
    assert resumed.progress.fresh == 15 - frames // SEGMENT * SEGMENT


def test_segments_may_be_restored_in_any_order(source: Path, tmp_path: Path, whole: bytes) -> None:
    target = tmp_path / "parts.mp4"
    starts, count = restoration(source, target, chain(), segment=SEGMENT).segment_starts()
    assert count == 15
    for index in (2, 0, 3, 1):
        restoration(source, target, chain(), segment=SEGMENT).restore_segment(index, starts[index])
    last = restoration(source, target, chain(), segment=SEGMENT)
    assert len(last.segments_there(starts)) == 4
    assert last.run(target).progress.fresh == 0
    assert target.read_bytes() == whole


@pytest.mark.parametrize("segment", [1, 2, 7])
def test_the_length_of_segments_changes_no_frame(source: Path, tmp_path: Path, segment: int) -> None:
    for length in (segment, 250):
        target = tmp_path / f"{length}.mkv"
        restoration(source, target, chain(), segment=length, codec="ffv1").run(target)
    for one, other in zip(planes(tmp_path / f"{segment}.mkv"), planes(tmp_path / "250.mkv"), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_videos(write_video, tmp_path: Path, count: int) -> None:
    source, target = write_video(times=[512 * number for number in range(count)]), tmp_path / "out.mp4"
    assert restoration(source, target, chain()).run(target).progress.frames == count


def test_a_rotated_video(tmp_path: Path) -> None:
    source, target = clips.rotated(tmp_path / "in"), tmp_path / "out.mp4"
    restoration(source, target, chain()).run(target)
    assert times(target) == times(source)


def test_a_preview_uses_its_own_frames(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    made = restoration(source, target, chain(), start=0.2, duration=0.2).run(target)
    assert 0 < made.progress.frames < 15
