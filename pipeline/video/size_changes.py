"""Find a change of the frame size before any work, by decoding keyframes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import RefusedVideo
from pipeline.video.container import demuxed, open_video, video_stream_of
from pipeline.video.damage import DAMAGED
from pipeline.video.probe import Footage
from pipeline.video.window import Window

_INTERVAL = Fraction(1)  # seconds, where every frame is a keyframe


def refuse_changing_size(path: Path, footage: Footage, window: Window) -> None:
    """Read a video up to the end of the window.

    Raises:
        RefusedVideo: if a keyframe has another size than the first frame.
    """
    with open_video(path) as container:
        for packet in _keyframes(demuxed(container, [video_stream_of(container)]), window):
            for frame in _decoded(packet):
                refuse_other_size(frame, frame.pts, footage)


def _keyframes(packets: Iterator[av.Packet], window: Window) -> Iterator[av.Packet]:
    """Yield the packets of keyframes in the window, of neighbouring ones those a second apart, and the last, empty."""
    latest, was_keyframe = Fraction(-(2**40)), False
    for packet in packets:
        ticks = packet.dts if packet.dts is not None else packet.pts
        seconds = latest + _INTERVAL if ticks is None else ticks * packet.time_base
        if packet.size and window.passed(seconds):
            return
        is_wanted = packet.is_keyframe and window.reached(seconds)
        if not packet.size or (is_wanted and not (was_keyframe and seconds - latest < _INTERVAL)):
            latest = seconds
            yield packet
        was_keyframe = packet.is_keyframe


def refuse_other_size(frame: av.VideoFrame, pts: int | None, footage: Footage) -> None:
    """Refuse a frame that has another size than the first.

    Raises:
        RefusedVideo: with the time of the frame.
    """
    if (frame.width, frame.height) != footage.size:
        before, after = (f"{width} x {height}" for width, height in (footage.size, (frame.width, frame.height)))
        where = "" if pts is None else f" at {float(pts * footage.time_base - footage.begin):.3f} s"
        change = f"changes its size from {before} to {after}{where}"
        raise RefusedVideo(f"{change}, expected one size in a video; cut it there, and restore its parts")


def _decoded(packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except (*DAMAGED, av.error.EOFError):
        return []
