"""Give decoded frames their timestamps, also where a file stores none or counts packets in decoding order."""

from __future__ import annotations

import heapq
from typing import cast

import av
from av.container import InputContainer
from av.format import Flags

_HAS_NONE = cast(int, Flags.no_timestamps.value)
_COUNTS_PACKETS = ("avi",)  # its timestamps number the packets, which B-frames reorder


def increasing(pts: int | None, previous: int | None) -> int:
    """Return the timestamp of a frame, or the tick behind the frame before where it has none, or one that goes back."""
    if previous is None:
        return pts or 0
    return previous + 1 if pts is None else max(pts, previous + 1)


class FrameTimes:
    """Timestamps of the frames of one stream, decoded from its begin.

    Frames leave a decoder in the order in which they are shown. Where packets are only numbered, each frame therefore
    gets the lowest number that is left.

    Attributes:
        are_counted: Whether the file holds frames only, shown at a constant rate.
        are_stored: Whether frames have timestamps of their own, so that a file can be entered anywhere.
    """

    def __init__(self, container: InputContainer) -> None:
        self.are_counted = bool(container.format.flags & _HAS_NONE)
        self.are_stored = not self.are_counted and container.format.name not in _COUNTS_PACKETS
        self._waiting: list[int] = []
        self._latest: int | None = None
        self._count = 0

    def feed(self, packet: av.Packet) -> None:
        """Take a packet that is about to be decoded."""
        if self.are_stored or not packet.size:
            return
        self._latest = self._count * (packet.duration or 1) if self.are_counted else packet.dts
        self._count += 1
        if self._latest is not None:
            heapq.heappush(self._waiting, self._latest)

    def drop(self) -> None:
        """Forget the latest packet, which could not be decoded."""
        if self._latest in self._waiting:
            self._waiting.remove(self._latest)
            heapq.heapify(self._waiting)

    def of(self, frame: av.VideoFrame) -> int | None:
        """Return the timestamp of the next frame from the decoder in ticks; None if it has none."""
        if self._waiting:
            return heapq.heappop(self._waiting)
        return frame.pts if frame.pts is not None else frame.dts
