"""Frames of a file with their times, to the very last one; damage is told, not hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import RefusedVideo
from pipeline.video.container import open_video, video_stream_of
from pipeline.video.planes import pix_fmt_of
from pipeline.video.probe import Footage


@dataclass(frozen=True)
class DecodedFrame:
    """One frame.

    Attributes:
        frame: libav's, in the footage's planes; or the pixels of a picture.
        pts: When it is shown, in ticks of the footage's clock; always later than the one before.
        duration: In ticks, until the next one is shown; of the last one what the file says, 0 where it does not.
        damaged: The decoder had to make up a part of it.
    """

    frame: Any
    pts: int
    duration: int
    damaged: bool = False


def read_frames_in_order(
    path: Path, footage: Footage, *, since: int | None = None, deinterlace: bool = False, tell: Callable[[str], None]
) -> Iterator[DecodedFrame]:
    """Yield the frames of a video in the order in which they are shown.

    Args:
        path: The file.
        footage: What ``probe`` said of it.
        since: Leave out what is shown before this tick.
        deinterlace: Make one frame of each two fields.
        tell: Called with each stretch that cannot be decoded.

    Raises:
        BrokenVideo: if the file cannot be opened.
        RefusedVideo: for frames that change their size, or hold fields although ``deinterlace`` is not given.
    """
    with open_video(path) as container:
        stream = video_stream_of(container)
        # On several frames at once, libav's H.264 decoder may mark damage after it has handed the frame out.
        stream.thread_type = "SLICE" if stream.codec_context.name == "h264" else "AUTO"
        frames = _decoded(container, stream, tell)
        if since is not None and not _seek(container, stream, since):
            container.seek(0)
        if deinterlace:
            frames = _deinterlaced(frames, stream)
        shots = _in_order(frames, footage, deinterlace, tell)
        yield from _until_the_next(shot for shot in shots if since is None or shot.pts >= since)


def _in_order(
    frames: Iterable[av.VideoFrame], footage: Footage, deinterlaced: bool, tell: Callable[[str], None]
) -> Iterator[DecodedFrame]:
    """Give every frame a time behind the one before it."""
    shown = -(2**62)
    for frame in frames:
        pts = frame.pts if frame.pts is not None else frame.dts
        pts = shown + 1 if pts is None else pts
        if pts <= shown:
            tell(f"a frame that is shown before the one before it, at {_clock(pts, footage)}, is moved behind it")
            pts = shown + 1
        shown = pts
        _check_size(frame, pts, footage)
        yield DecodedFrame(_fitted(frame, footage, deinterlaced), pts, frame.duration or 0, frame.is_corrupt)


def _until_the_next(shots: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """Let every shot but the last end where the next begins: a file may tell the time to the next one stored."""
    for shot, following in pairwise(chain(shots, (None,))):
        assert shot is not None
        yield shot if following is None else replace(shot, duration=following.pts - shot.pts)


def _seek(container: InputContainer, stream: VideoStream, since: int) -> bool:
    """Go to a key frame before a tick; tell whether the first frame after it is one that is early enough.

    One key frame earlier than need be, so that the frames from there on have all that they refer to.
    """
    try:
        container.seek(since - 1, stream=stream)
        first = next(container.decode(stream), None)
        container.seek(since - 1, stream=stream)
    except av.FFmpegError:
        return False
    return first is not None and first.pts is not None and first.pts < since


def _decoded(container: InputContainer, stream: VideoStream, tell: Callable[[str], None]) -> Iterator[av.VideoFrame]:
    """Yield all frames, those that the decoder still holds at the end too."""
    packets = container.demux(stream)
    while True:
        packet = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.is_corrupt:
                tell(f"the file is cut off or damaged {_where(packet)}")
            yield from packet.decode()
        except av.error.InvalidDataError as error:
            if packet is None:
                tell(f"the file is cut off or damaged: {error.strerror}")
                yield from stream.decode(None)
                return
            tell(f"what is damaged {_where(packet)} cannot be decoded")


def _where(packet: av.Packet) -> str:
    at = packet.pts if packet.pts is not None else packet.dts
    return "at an unknown time" if at is None else f"at {float(at * packet.time_base):.3f} s"


def _deinterlaced(frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Replace frames that hold two fields by one frame each (bwdif); others pass."""
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


def _check_size(frame: av.VideoFrame, pts: int, footage: Footage) -> None:
    if (frame.width, frame.height) != footage.size:
        before, after = (f"{width} x {height}" for width, height in (footage.size, (frame.width, frame.height)))
        change = f"changes its size from {before} to {after} at {_clock(pts, footage)}"
        raise RefusedVideo(f"{change}, expected one size in a film; cut it there, and restore its parts")


def _fitted(frame: av.VideoFrame, footage: Footage, deinterlaced: bool) -> av.VideoFrame:
    if frame.interlaced_frame and not deinterlaced:
        raise RefusedVideo("is interlaced; restore it with --deinterlace")
    wanted = pix_fmt_of(footage.layout)
    if frame.format.name.replace("yuvj", "yuv") == wanted:
        return frame
    matrix, full = footage.layout.matrix, footage.layout.full_range
    return frame.reformat(format=wanted, dst_colorspace=matrix, dst_color_range="JPEG" if full else "MPEG")


def _clock(pts: int, footage: Footage) -> str:
    return f"{float(pts * footage.time_base - footage.begin):.3f} s"
