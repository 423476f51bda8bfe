"""Joined recordings: the clock continues where it jumps, in all streams alike."""

from fractions import Fraction
from itertools import pairwise

import pytest

from pipeline.video.clock import clock_of
from pipeline.video.container import demuxed, open_video
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


@pytest.mark.parametrize("later", [0, 100], ids=["again", "ahead"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_joined_recording_is_restored_as_one(tmp_path, container, later):
    source = clips.joined(tmp_path / "clip", later)
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", container=container)
    assert (record.status, record.differs, record.frames) == ("done", (), 24)
    assert [note for note in record.notes if "clock" in note] == [
        "the clock jumps 1 time, as in joined recordings; it is continued there"
    ]
    assert not [loss for loss in record.losses if "damaged" in loss]
    result = tmp_path / f"out/clip.{container}"
    assert clips.numbers_of(result) == [*range(12)] * 2
    *steps, at_joint = sorted(later - earlier for earlier, later in pairwise(clips.times_of(result)))
    assert max(steps) <= Fraction(41, 1000)  # Matroska rounds to milliseconds
    assert at_joint < Fraction(1, 10)  # the sound of the first part ends after its frames


def test_streams_stay_in_step_at_a_jump(tmp_path):
    with open_video(clips.joined(tmp_path / "clip")) as container:
        packets = [(packet.stream.type, packet.dts) for packet in demuxed(container, container.streams) if packet.size]
    distances = []
    for kind in ("video", "audio"):
        times = [dts for name, dts in packets if name == kind]
        assert all(later > earlier for earlier, later in pairwise(times))
        distances.append(times[len(times) // 2] - times[0])
    assert distances[0] == distances[1]


@pytest.mark.parametrize(
    "clip", [clips.late_start, clips.b_frames, clips.two_languages], ids=lambda clip: clip.__name__
)
def test_a_steady_clock_is_left_alone(tmp_path, clip):
    with open_video(clip(tmp_path / "clip")) as container:
        assert clock_of(container).jumps == 0


def test_a_part_behind_a_jump_begins_at_its_frame(tmp_path):
    source = clips.joined(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", start=0.48, duration=0.2)
    assert (record.differs, record.frames) == ((), 5)
    assert clips.numbers_of(next((tmp_path / "out").glob("clip*.mp4"))) == [0, 1, 2, 3, 4]


def test_a_gap_of_one_stream_is_no_jump(tmp_path):
    with open_video(clips.gap_in_sound(tmp_path / "clip")) as container:
        times = [packet.dts * packet.time_base for packet in container.demux(audio=0) if packet.size]
        assert max(later - earlier for earlier, later in pairwise(times)) > 10
        assert clock_of(container).jumps == 0
