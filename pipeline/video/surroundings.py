"""Give each segment of a video's frames those around it on which its frames depend.

    frames              0 1 2 3 4 5 6 7 8 9
    segment 0, context  0 1 2 3 . .             of 4 frames; . are read, and restored no further than needed
    segment 1           . . 4 5 6 7 . .
    segment 2                   . . 8 9

Segments are restored by themselves, the frames around them anew. So it does not matter whether one run restores all of
them, a later one resumes, or workers share them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count, groupby, islice
from typing import NamedTuple

from pipeline.video.reader import DecodedFrame


class SegmentFrame(NamedTuple):
    """A decoded frame of a segment, or of those around it.

    Attributes:
        segment: Number of the segment, counted from 0.
        place: In the segment; negative before it, at least the segment's length behind it.
        decoded: The frame.
    """

    segment: int
    place: int
    decoded: DecodedFrame


class SegmentStart(NamedTuple):
    """Where a segment begins in a video.

    Attributes:
        pts: Timestamp of its first frame in ticks, or behind the last frame of the segment before.
        before: Timestamps of the frames before it on which it depends, in order.
    """

    pts: int
    before: tuple[int, ...]

    @property
    def since(self) -> int:
        """Timestamp from which frames have to be decoded."""
        return self.before[0] if self.before else self.pts


VIDEO_START = SegmentStart(-(2**62), ())


def in_segments(
    frames: Iterable[DecodedFrame], size: int, context: int, start: SegmentStart = VIDEO_START
) -> Iterator[SegmentFrame]:
    """Yield the frames of each segment with those around it, in order; a frame may belong to several.

    Args:
        frames: In order.
        size: Frames of a segment; the last may have fewer.
        context: Frames around a segment on each side, as far as there are any.
        start: Where the first segment begins.
    """
    recent: deque[tuple[int, DecodedFrame]] = deque(maxlen=2 * context)
    segment, number = 0, -1

    def around(segment: int) -> Iterator[SegmentFrame]:
        first = segment * size
        return (SegmentFrame(segment, at - first, frame) for at, frame in recent if at >= first - context)

    for number, frame in _numbered(frames, start):
        if number == (segment + 1) * size + context:
            segment += 1
            yield from around(segment)
        yield SegmentFrame(segment, number - segment * size, frame)
        recent.append((number, frame))
    while number >= (segment + 1) * size:
        segment += 1
        yield from around(segment)


def _numbered(frames: Iterable[DecodedFrame], start: SegmentStart) -> Iterator[tuple[int, DecodedFrame]]:
    """Count frames from the first of a segment on; those before it have negative numbers."""
    numbers = count()
    for frame in frames:
        is_before = frame.pts < start.pts
        yield bisect_left(start.before, frame.pts) - len(start.before) if is_before else next(numbers), frame


def batches(frames: Iterable[SegmentFrame], size: int) -> Iterator[list[SegmentFrame]]:
    """Group frames into batches of one segment; no frame is requested before its batch."""
    for _, alike in groupby(frames, key=lambda frame: frame.segment):
        while batch := list(islice(alike, size)):
            yield batch
