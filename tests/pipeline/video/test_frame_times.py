"""Times of frames where the container stores none, or counts packets in decoding order."""

from fractions import Fraction

import pytest

from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


@pytest.mark.parametrize("suffix", [".avi", ".h264"])
def test_frames_are_shown_in_order_at_a_constant_rate(tmp_path, suffix):
    source = clips.counted_b_frames(tmp_path / f"clip{suffix}")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast")
    assert (record.status, record.differs) == ("done", ())
    assert record.losses == ()
    assert clips.numbers_of(tmp_path / "out/clip.mp4") == [*range(12)]
    assert clips.times_of(tmp_path / "out/clip.mp4") == [Fraction(number, 25) for number in range(12)]


def test_a_part_of_an_avi_begins_at_its_frame(tmp_path):
    source = clips.counted_b_frames(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", start=0.2, duration=0.2)
    assert (record.differs, record.frames) == ((), 5)
    assert clips.numbers_of(tmp_path / "out/clip_from_0.2s_for_0.2s.mp4") == [5, 6, 7, 8, 9]


def test_frames_without_times_are_said(tmp_path):
    source = clips.counted_b_frames(tmp_path / "clip.h264")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast")
    assert "holds no times; its frames are shown at 25 per second" in record.notes
