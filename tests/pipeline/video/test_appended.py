"""A recording behind another in one file is restored, or its loss is a warning."""

from fractions import Fraction

import pytest

from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips

MILLISECOND = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("suffix", "codec", "time_base"),
    [(".flv", "flv1", MILLISECOND), (".wmv", "wmv2", MILLISECOND), (".mp4", "libx264", Fraction(1, 25))],
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
