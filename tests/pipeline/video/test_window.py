"""Previews: the selected time range, shifted to its own beginning."""

from fractions import Fraction

import av
import pytest

from pipeline.video.conformance import compare_videos
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.restoring import restore, times


def test_a_preview_has_the_frames_and_the_audio_of_its_time_range(write_video, tmp_path):
    source, target = write_video(audio=1), tmp_path / "out.mp4"
    restore(source, target, start=0.1, duration=0.2)
    assert times(target) == [time - Fraction(1, 10) for time in times(source) if 0.1 <= time < 0.3]
    with av.open(str(target)) as container:
        assert 0.15 < container.streams.audio[0].duration / 48000 < 0.25


@pytest.mark.parametrize("clip", [clips.two_languages, clips.late_video, clips.variable_rate, clips.edit_list])
@pytest.mark.parametrize("part", [{"start": 0.1}, {"duration": 0.2}, {"start": 0.08, "duration": 0.1}])
def test_a_preview_is_compared_with_its_part_of_the_source(tmp_path, clip, part):
    if clip is clips.late_video:
        part = {name: value + 0.5 for name, value in part.items()}
    source = clip(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", **part)
    assert (record.status, record.differs) == ("done", ())
    assert record.frames < 8
    whole = compare_videos(source, tmp_path / "out" / str(record.output))
    assert "frames" in {comparison.name for comparison in whole if comparison.is_fault}
