"""Open video files with libav and select the main video stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.video.clock import continued

# Metadata that describe a file rather than the video, so they are neither copied nor compared.
FILE_ONLY_METADATA = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})

# The demuxers of files that hold all of their video. libav has 330 more, and chooses by content: playlists, lists of
# files to concatenate, session descriptions and subtitles in two files make it open what they name.
_DEMUXERS = (
    *("asf", "asf_o", "av1", "avi", "cavsvideo", "dhav", "dirac", "dv", "flv", "gif", "gxf", "h264", "hevc", "ivf"),
    *("kux", "live_flv", "m4v", "matroska", "mjpeg", "mjpeg_2000", "mov", "mpeg", "mpegts", "mpegvideo", "mpjpeg"),
    *("mxf", "nsv", "nut", "obu", "ogg", "rm", "swf", "vc1", "vvc", "wtv", "yuv4mpegpipe"),
)
_ONLY_THIS_FILE = {"format_whitelist": ",".join(_DEMUXERS), "protocol_whitelist": "file"}


def address_of(path: Path) -> str:
    """Return a path in the form that libav needs: in a bare ``10:30.mp4`` it would take ``10`` for a protocol."""
    return str(path.absolute())


def open_video(path: Path) -> InputContainer:
    """Open a file for reading, and no other file or address that it may name.

    Raises:
        RefusedVideo: if it is of a format that holds no video itself.
        BrokenVideo: if libav cannot read it, or it is no file: opening a named pipe would wait for its writer.
    """
    if not path.is_file():
        raise BrokenVideo("is not a file, or a link to nothing")
    try:
        return av.open(address_of(path), options=_ONLY_THIS_FILE, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise RefusedVideo(
            "is of no video format that is read; playlists, lists of files and subtitles are not, because they name "
            "other files"
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise BrokenVideo(f"cannot be read as a video: {error.strerror or error}") from error


def video_stream_of(container: InputContainer) -> VideoStream:
    """Return the first video stream that is not a cover image.

    Raises:
        RefusedVideo: if there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise RefusedVideo(f"holds no video stream that can be decoded, only {kinds}")


def demuxed(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Any]:
    """Yield the packets of streams up to the end of the file, or to the first packet that cannot be read.

    Their timestamps go on where the file's clock jumps.
    """
    packets = continued(container, container.demux(list(streams)))
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.InvalidDataError):
            return
