"""Timecodes shifted by frames, with and without drop frames."""

from fractions import Fraction

import av
import pytest

from pipeline.video.timecode import shifted_timecode
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("text", "frames", "rate", "expected"),
    [
        ("01:02:03:04", 0, Fraction(25), "01:02:03:04"),
        ("01:02:03:04", 25 * 60 - 4, Fraction(25), "01:03:03:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:01:59;29", 1, NTSC, "00:02:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),
        ("00:00:00;00", 17982 * 144, NTSC, "00:00:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("noon", 5, Fraction(25), "noon"),
    ],
)
def test_a_timecode_is_shifted(text: str, frames: int, rate: Fraction, expected: str) -> None:
    assert shifted_timecode(text, frames, rate) == expected


def test_no_two_frames_share_a_timecode() -> None:
    counted = [shifted_timecode("00:00:00;00", frames, NTSC) for frames in range(3 * 17982)]
    assert counted == sorted(set(counted))


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
def test_the_timecode_of_a_preview_is_that_of_its_first_frame(tmp_path, container):
    clips.timecode(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, "clip.mov", preset="ultrafast", container=container, start=0.1)
    assert (record.status, record.frames, record.differs) == ("done", 5, ())
    assert not [note for note in record.notes if " bytes: " in note]
    with av.open(str(tmp_path / "out" / str(record.output))) as made:
        metadata = {key.lower(): text for key, text in made.streams.video[0].metadata.items()}
    assert metadata["timecode"] == "01:02:03:07"
