"""Batches of frames for the device."""

from collections.abc import Iterator

from pipeline.video.device import batches
from pipeline.video.reader import DecodedFrame


def test_batches_end_with_segments_and_damage_and_ask_for_no_frame_early():
    asked = []

    def frames() -> Iterator[DecodedFrame]:
        for number in range(10):
            asked.append(number)
            yield DecodedFrame(None, number, 1, damaged=number in (4, 5))

    grouped = ([frame.pts for frame in batch] for batch in batches(frames(), size=2, segment=3))
    assert next(grouped) == [0, 1]
    assert asked == [0, 1]
    assert list(grouped) == [[2], [3], [4, 5], [6, 7], [8], [9]]
