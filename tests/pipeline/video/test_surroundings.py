"""Segments of decoded frames with those around them."""

from collections.abc import Iterator

import pytest

from pipeline.video.reader import DecodedFrame
from pipeline.video.surroundings import VIDEO_START, SegmentStart, batches, in_segments

Placed = list[tuple[int, int, int]]


def decoded(count: int, first: int = 0) -> list[DecodedFrame]:
    return [DecodedFrame(None, pts, 1) for pts in range(first, count)]


def placed(frames: list[DecodedFrame], size: int, context: int, start: SegmentStart = VIDEO_START) -> Placed:
    """Return the segment, place and timestamp of each frame."""
    return [(frame.segment, frame.place, frame.decoded.pts) for frame in in_segments(frames, size, context, start)]


def test_a_segment_is_given_the_frames_around_it() -> None:
    found = placed(decoded(10), size=4, context=2)
    assert [pts for segment, _, pts in found if segment == 0] == [0, 1, 2, 3, 4, 5]
    assert [pts for segment, _, pts in found if segment == 1] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [pts for segment, _, pts in found if segment == 2] == [6, 7, 8, 9]
    assert [place for segment, place, _ in found if segment == 1] == [-2, -1, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("context", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 11])
def test_every_segment_has_all_that_there_is(count: int, size: int, context: int) -> None:
    found = placed(decoded(count), size, context)
    expected = [
        (segment, pts - segment * size, pts)
        for segment in range(-(-count // size))
        for pts in range(max(0, segment * size - context), min(count, (segment + 1) * size + context))
    ]
    assert found == expected


@pytest.mark.parametrize("context", [0, 2, 5])
def test_a_run_that_begins_with_a_later_segment_gives_the_same(context: int) -> None:
    whole = placed(decoded(13), 4, context)
    before = tuple(range(8 - context, 8))
    later = placed(decoded(13, first=8 - context), 4, context, SegmentStart(8, before))
    assert later == [(segment - 2, place, pts) for segment, place, pts in whole if segment >= 2]


def test_frames_that_seeking_lost_shift_no_others() -> None:
    start = SegmentStart(8, (5, 6, 7))
    assert placed(decoded(10, first=7), 4, 3, start) == [(0, -1, 7), (0, 0, 8), (0, 1, 9)]


def test_batches_end_with_segments_and_ask_for_no_frame_early() -> None:
    asked = []

    def frames() -> Iterator[DecodedFrame]:
        for frame in decoded(8):
            asked.append(frame.pts)
            yield frame

    grouped = ([one.decoded.pts for one in batch] for batch in batches(in_segments(frames(), 3, 0), size=2))
    assert next(grouped) == [0, 1]
    assert asked == [0, 1]
    assert list(grouped) == [[2], [3, 4], [5], [6, 7]]
