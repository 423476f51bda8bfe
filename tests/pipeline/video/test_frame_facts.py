"""What frames say beside their pixels is carried, or named."""

import av
import pytest

from pipeline.video.frame_facts import CAPTIONS, USER_DATA, facts_of_frame, with_messages
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


def captions_of(path):
    with av.open(str(path)) as container:
        return [
            [content for name, content in facts_of_frame(frame) if name == CAPTIONS]
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_captions_and_user_data_are_carried(tmp_path, codec, container):
    source = clips.captioned(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", codec=codec, container=container, segment=3)
    assert (record.error, record.differs) == (None, ())
    assert captions_of(tmp_path / f"out/clip.{container}") == [[bytes([0xFC, 0, number])] for number in range(8)]


def test_captions_that_a_codec_does_not_carry_are_named(tmp_path):
    source = clips.captioned(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, codec="ffv1")
    lost = [note for note in record.losses if "not written with ffv1" in note]
    assert [note.split(":")[0] for note in lost] == [CAPTIONS, USER_DATA]
    assert "in 8 frames" in lost[0]


def test_messages_stand_before_the_slices_and_hold_no_start_code():
    units = b"\x00\x00\x00\x02\x09\x10" + b"\x00\x00\x00\x03\x65\x01\x02"
    marked = with_messages(units, b"\x05\x03\x00\x00\x01", "h264")
    assert marked == units[:6] + b"\x00\x00\x00\x08" + b"\x06\x05\x03\x00\x00\x03\x01\x80" + units[6:]
    assert with_messages(units, b"", "h264") == with_messages(units, b"\x05\x01\x00", "ffv1") == units
