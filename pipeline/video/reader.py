"""Decode all frames of a file with increasing timestamps, and report corrupt ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import RefusedVideo
from pipeline.video.clock import clock_of, continued
from pipeline.video.container import open_video, video_stream_of
from pipeline.video.damage import DAMAGED
from pipeline.video.frame_facts import messages_of
from pipeline.video.frame_times import FrameTimes, increasing
from pipeline.video.notes import Warn
from pipeline.video.planes import pix_fmt_of
from pipeline.video.probe import Footage
from pipeline.video.size_changes import refuse_other_size


@dataclass(frozen=True)
class DecodedFrame:
    """One decoded frame.

    Attributes:
        frame: libav's frame in the working pixel format, or the pixels of an image file.
        pts: Presentation timestamp in ticks of the footage's time base; strictly increasing.
        duration: Ticks to the next frame; of the last frame as stated by the file, 0 if it is not.
        damaged: The decoder concealed errors in it.
        messages: What it says beside its pixels (``messages_of``).
    """

    frame: Any
    pts: int
    duration: int
    damaged: bool = False
    messages: bytes = b""


def read_frames_in_order(
    path: Path, footage: Footage, *, since: int | None = None, deinterlace: bool = False, warn: Warn
) -> Iterator[DecodedFrame]:
    """Yield the frames of a video in display order.

    Args:
        path: The file.
        footage: The result of ``probe``.
        since: Skip frames before this timestamp in ticks.
        deinterlace: Deinterlace frames that hold two fields (bwdif), one frame out per frame in.
        warn: Called for each place that cannot be decoded.

    Raises:
        BrokenVideo: if the file cannot be opened.
        RefusedVideo: if the frame size changes, or for interlaced frames without ``deinterlace``.
    """
    with open_video(path) as container:
        stream = video_stream_of(container)
        # With frame threads, libav's H.264 decoder may flag a frame as corrupt after it has returned it.
        stream.thread_type = "SLICE" if stream.codec_context.name == "h264" else "AUTO"
        times = FrameTimes(container)
        if since is not None and times.are_stored and not clock_of(container).jumps:
            _seek(container, stream, since)
        frames = _decoded(container, stream, times, warn)
        if deinterlace:
            frames = _deinterlaced(frames, stream)
        ordered = _in_order(frames, footage, deinterlace, warn)
        yield from _with_durations(frame for frame in ordered if since is None or frame.pts >= since)


def _in_order(
    frames: Iterable[av.VideoFrame], footage: Footage, deinterlaced: bool, warn: Warn
) -> Iterator[DecodedFrame]:
    """Make timestamps strictly increasing."""
    previous = None
    for frame in frames:
        pts = increasing(frame.pts, previous)
        if frame.pts is not None and pts > frame.pts:
            warn("a frame whose timestamp is not above that before is delayed", f"at {_clock(frame.pts, footage)}")
        previous = pts
        refuse_other_size(frame, pts, footage)
        fitted, messages = _fitted(frame, footage, deinterlaced), messages_of(frame)
        yield DecodedFrame(fitted, pts, frame.duration or 0, frame.is_corrupt, messages)


def _with_durations(frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """Set every duration but the last from the next timestamp: stated durations may refer to decoding order."""
    for frame, following in pairwise(chain(frames, (None,))):
        assert frame is not None
        yield frame if following is None else replace(frame, duration=following.pts - frame.pts)


def _seek(container: InputContainer, stream: VideoStream, since: int) -> None:
    """Seek to a keyframe before a timestamp, or to the begin if none is early enough.

    One keyframe earlier than necessary, so that all references of the frames from there on are decoded.
    """
    first = None
    with suppress(av.FFmpegError):
        container.seek(since - 1, stream=stream)
        first = next(container.decode(stream), None)
        container.seek(since - 1, stream=stream)
    if first is None or first.pts is None or first.pts >= since:
        container.seek(0)


def _decoded(container: InputContainer, stream: VideoStream, times: FrameTimes, warn: Warn) -> Iterator[av.VideoFrame]:
    """Yield all frames with their timestamps, including those still in the decoder at the end of the file."""
    packets = continued(container, container.demux(stream))
    while True:
        packet = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.is_corrupt:
                warn("the file is cut off or damaged", _where(packet))
            times.feed(packet)
            yield from _timed(packet.decode(), times)
        except DAMAGED:
            if packet is None:
                warn("the file is cut off or damaged", "at its end")
                yield from _timed(stream.decode(None), times)
                return
            times.drop()
            warn("damaged data cannot be decoded", _where(packet))


def _timed(frames: Iterable[av.VideoFrame], times: FrameTimes) -> Iterator[av.VideoFrame]:
    for frame in frames:
        frame.pts = times.of(frame)
        yield frame


def _where(packet: av.Packet) -> str:
    at = packet.pts if packet.pts is not None else packet.dts
    return "at an unknown time" if at is None else f"at {float(at * packet.time_base):.3f} s"


def _deinterlaced(frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Deinterlace frames that hold two fields (bwdif), one frame out per frame in; others pass unchanged."""
    graph = av.filter.Graph()
    source, sink = graph.add_buffer(template=stream), graph.add("buffersink")
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), sink).configure()
    for frame in chain(frames, (None,)):
        graph.vpush(frame)
        while (made := _pulled(graph)) is not None:
            assert stream.time_base is not None
            assert made.time_base is not None
            ticks = made.time_base / stream.time_base
            made.pts, made.duration = round((made.pts or 0) * ticks), round(made.duration * ticks)
            yield made


def _pulled(graph: av.filter.Graph) -> av.VideoFrame | None:
    try:
        return graph.vpull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None


def _fitted(frame: av.VideoFrame, footage: Footage, deinterlaced: bool) -> av.VideoFrame:
    if frame.interlaced_frame and not deinterlaced:
        raise RefusedVideo("is interlaced, expected progressive frames or the option deinterlace")
    wanted = pix_fmt_of(footage.layout)
    if frame.format.name.replace("yuvj", "yuv") == wanted:
        return frame
    matrix, full = footage.layout.matrix, footage.layout.full_range
    return frame.reformat(format=wanted, dst_colorspace=matrix, dst_color_range="JPEG" if full else "MPEG")


def _clock(pts: int, footage: Footage) -> str:
    return f"{float(pts * footage.time_base - footage.begin):.3f} s"
