"""A video through a chain: exact pixels, exact timestamps, all other streams."""

from fractions import Fraction

import pytest

from pipeline.video.conformance import compare_videos
from pipeline.video.options import VideoOptions
from tests.pipeline.video import clips
from tests.pipeline.video.restoring import TWICE, planes, restore, times

UNEVEN = (0, 512, 700, 2000, 2001, 2600, 5000, 5512, 9000)


@pytest.mark.parametrize("size", [(32, 24), (33, 23)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_an_identity_chain_returns_the_same_pixels(write_video, tmp_path, pix_fmt, size):
    source = write_video("in.mkv", codec="ffv1", pix_fmt=pix_fmt, size=size)
    target = tmp_path / "out.mkv"
    restore(source, target, codec="ffv1")
    assert times(target) == times(source)
    for actual, expected in zip(planes(target), planes(source), strict=True):
        assert (actual == expected).all()


@pytest.mark.parametrize("start", [0, 12800])
@pytest.mark.parametrize("segment", [4, 250])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_uneven_timestamps_and_a_late_start_are_kept(write_video, tmp_path, codec, segment, start):
    source = write_video(times=[start + pts for pts in UNEVEN], options={"bf": "3", "crf": "20"})
    target = tmp_path / "out.mp4"
    result = restore(source, target, TWICE, codec=codec, preset="veryfast", segment=segment)
    assert result.size == (64, 48)
    assert times(target) == times(source) == [(start + pts) / Fraction(12800) for pts in UNEVEN]


def test_one_frame(write_video, tmp_path):
    source, target = write_video(times=[0]), tmp_path / "out.mp4"
    restore(source, target)
    assert times(target) == times(source) == [0]


def test_a_truncated_file_is_reported(tmp_path):
    notes = restore(clips.truncated(tmp_path / "in"), tmp_path / "out.mp4").losses
    assert "ends at 0.080 s, expected 0.640 s by its header" in notes


@pytest.mark.parametrize("duration", [None, 0.3, 0.5, 1.2])
def test_uneven_timestamps_are_no_difference_up_to_the_end(tmp_path, duration):
    source = clips.variable_rate(tmp_path / "in")
    restore(source, tmp_path / "out.mp4", duration=duration)
    comparisons = compare_videos(source, tmp_path / "out.mp4", VideoOptions(duration=duration))
    assert not [comparison for comparison in comparisons if not comparison.agrees]
