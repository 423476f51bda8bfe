"""A recording behind another in one file is restored, or its loss is a warning."""

from fractions import Fraction

import pytest

from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips

MILLISECOND = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("suffix", "codec", "time_base"),
    [
        (".flv", "flv1", MILLISECOND),
        (".wmv", "wmv2", MILLISECOND),
        (".mp4", "libx264", Fraction(1, 25)),
        (".ivf", "libvpx", Fraction(1, 25)),
        (".wtv", "mpeg2video", Fraction(1, 25)),
        (".y4m", "wrapped_avframe", Fraction(1, 25)),
    ],
)
@pytest.mark.parametrize("recordings", [1, 2])
def test_what_is_not_read_is_a_loss(tmp_path, suffix, codec, time_base, recordings):
    clip = clips.plain(tmp_path / f"clip{suffix}", codec, time_base)
    clip.write_bytes(clip.read_bytes() * recordings)
    (record,) = restore_batch(tmp_path, clip.name, preset="ultrafast")
    assert (record.status, record.frames) == ("done", 8)
    appended = [loss for loss in record.losses if loss.startswith("another recording was appended to the file")]
    assert len(appended) == recordings - 1


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mpeg4"), (".mkv", "libx264")])
def test_what_is_read_is_restored(tmp_path, suffix, codec):
    clip = clips.plain(tmp_path / f"clip{suffix}", codec)
    clip.write_bytes(clip.read_bytes() * 2)
    (record,) = restore_batch(tmp_path, clip.name, preset="ultrafast")
    assert (record.status, record.frames, record.differs, record.losses) == ("done", 16, (), ())


def test_frames_without_times_of_their_own_follow_each_other(tmp_path):
    """Libav gives all frames of a second MXF the last time of the first."""
    clip = clips.plain(tmp_path / "clip.mxf", "mpeg2video")
    clip.write_bytes(clip.read_bytes() * 2)
    (record,) = restore_batch(tmp_path, clip.name, preset="ultrafast")
    assert (record.status, record.frames, record.differs) == ("done", 16, ())
    assert len(record.losses) == 1
    assert record.losses[0].startswith("a frame whose timestamp is not above that before is delayed")


def test_the_rest_of_a_joined_nut_is_a_loss(tmp_path):
    clip = clips.plain(tmp_path / "clip.nut", "mpeg4")
    clip.write_bytes(clip.read_bytes() * 2)
    (record,) = restore_batch(tmp_path, clip.name, preset="ultrafast")
    assert any(loss.startswith("another recording was appended to the file") for loss in record.losses)
