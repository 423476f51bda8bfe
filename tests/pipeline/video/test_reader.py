"""Decoding of damaged, truncated, changing and interlaced videos."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.video.options import VideoOptions
from pipeline.video.sources import VideoFile
from tests.pipeline.video.restoring import TWICE, restore, times


def damage(path: Path) -> None:
    """Overwrite the middle of a file with noise, as a bad sector does."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)


def test_corrupt_frames_are_reported_and_upscaled_unless_strict(write_video, tmp_path):
    source, target = write_video(size=(96, 80), options={"g": "4"}), tmp_path / "out.mp4"
    damage(source)
    result = restore(source, target, TWICE)
    assert any("damaged" in note for note in result.losses)
    assert times(target) == times(source)
    with pytest.raises(BrokenVideo, match="the option strict makes this an error"):
        restore(source, tmp_path / "strict.mkv", strict=True)


def test_a_truncated_file_yields_its_remaining_frames(write_video, tmp_path):
    source, target = write_video("in.mkv", times=range(0, 40 * 512, 512)), tmp_path / "out.mkv"
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    restore(source, target)
    assert times(target) == times(source) != []


def test_a_change_of_size_is_refused_with_its_timestamp(write_video, tmp_path):
    first = write_video("first.ts", options={"preset": "ultrafast"})
    later = write_video(
        "later.ts", options={"preset": "ultrafast"}, size=(48, 32), times=range(12 * 512, 24 * 512, 512)
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + later.read_bytes())
    with pytest.raises(RefusedVideo, match=r"from 32 x 24 to 48 x 32 at \d\.\d{3} s, expected one size"):
        VideoFile(both, VideoOptions()).check()  # before any work


def test_interlaced_videos_are_refused_or_deinterlaced(write_video, tmp_path):
    source = write_video("in.mkv", options={"flags": "+ildct+ilme", "x264-params": "tff=1"}, size=(64, 64))
    with pytest.raises(RefusedVideo, match="is interlaced, expected progressive frames or the option deinterlace"):
        restore(source, tmp_path / "out.mkv")
    restore(source, tmp_path / "out.mkv", deinterlace=True)
    assert times(tmp_path / "out.mkv") == times(source)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert not any(frame.interlaced_frame for frame in container.decode(video=0))
