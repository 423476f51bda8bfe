"""Open video files with libav and select the main video stream."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import BrokenVideo, ImageError, RefusedVideo
from pipeline.images.damage import ends_within_a_box
from pipeline.video.clock import continued
from pipeline.video.damage import DAMAGED
from pipeline.video.demuxers import ONLY_THIS_FILE

# Metadata that describe a file rather than the video, so they are neither copied nor compared.
FILE_ONLY_METADATA = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})

_LISTS = (
    b"#EXTM3U",
    b"ffconcat",
    b"<?xml",
    b"<MPD",
    b"[playlist]",
    b"[Reference]",
    b"v=0",
    b"<smil",
    b"<ASX",
    b"RTSPtext",
)
_FIRST_BOXES = (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip")
_HEAD_BYTES = 4096


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
        return av.open(address_of(path), options=ONLY_THIS_FILE, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: av.FFmpegError | OSError) -> ImageError:
    """Return the error for a file that libav cannot open, or may not."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).lstrip()
    except OSError as unreadable:
        return BrokenVideo(f"cannot be read: {unreadable.strerror or unreadable}")
    if head.startswith(_LISTS):
        return RefusedVideo(
            "is refused for safety: it is a list of other files or addresses, and no input may have them opened",
            "unsafe",
        )
    if isinstance(error, av.error.ArgumentError):
        return RefusedVideo("is of no video format that is read; convert it to MP4 or MKV first")
    return _broken(path, error.strerror or str(error))


def _broken(path: Path, why: str) -> BrokenVideo:
    """Return the error for a damaged file; MP4 and MOV without an index were cut off."""
    size = path.stat().st_size
    if size == 0:
        return BrokenVideo("is empty", "cut off")
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in _FIRST_BOXES and (ends_within_a_box(file, size) or not _has_index(path)):
            return BrokenVideo(
                "is cut off: its index is missing, which recorders write at the end; copy or download it again, or "
                "repair it by a tool for broken recordings",
                "cut off",
            )
    return BrokenVideo(f"cannot be read as a video: {why}; it is damaged, or no video")


def _has_index(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"moov") >= 0 or data.find(b"moof") >= 0


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
        except (StopIteration, *DAMAGED):
            return
