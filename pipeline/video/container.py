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

# Metadata that describe a file rather than the video, so they are neither copied nor compared.
FILE_ONLY_METADATA = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


def address_of(path: Path) -> str:
    """Return a path in the form that libav needs: in a bare ``10:30.mp4`` it would take ``10`` for a protocol."""
    return str(path.absolute())


def open_video(path: Path) -> InputContainer:
    """Open a file for reading.

    Raises:
        BrokenVideo: if libav cannot read it.
    """
    try:
        return av.open(address_of(path), metadata_errors="replace")
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
    """Yield the packets of streams up to the end of the file, or to the first packet that cannot be read."""
    packets = container.demux(list(streams))
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.InvalidDataError):
            return
