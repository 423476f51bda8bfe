"""What of a film a container can hold: nobody lists it, so it is tried.

Every stream is copied with its first packet into a small file of the result's kind, beside the film, and read back.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from pipeline.errors import RefusedVideo
from pipeline.video.container import open_video, video_stream_of
from pipeline.video.contents import FILM, Head, Track
from pipeline.video.inventory import read_head

# Names of figures, and the codecs that carry them in their own stream.
_HDR = ("mastering display", "content light")
_HDR_CODECS = frozenset({"av1", "h264", "hevc"})
# libav's writer of Matroska looks for the pixel aspect where PyAV cannot write; these codecs' streams tell it.
_ASPECT_CODECS = frozenset({"h264", "hevc"})
_NOTHING = Head((), (), {})


class _Copy(NamedTuple):
    """A stream to be copied, its first packet, and the stream of the source that tells what is said of it."""

    stream: Stream
    first: bytes
    told: Stream


def holdable(source: Path, head: Head, result: Path, film: Track) -> Head:
    """Return what of a source's streams, chapters and metadata the result's container can hold.

    Args:
        source: The file.
        head: What it holds.
        result: A file of the container in question.
        film: The result's film, which stands for the source's: encoded anew, it may be of another codec.
    """
    with open_video(source) as given, open_video(result) as made:
        name = _format_name(made, result)
        main = _Copy(video_stream_of(made), film.first, video_stream_of(given))
        whole = _round_trip(name, [main], given)
        if not whole.tracks:  # then trying tells nothing, and nothing is excused
            return head
        tracks = []
        for track in head.tracks:
            stream = given.streams[track.index]
            alone = [] if track.kind == FILM else [_Copy(stream, track.first, stream)]
            back = _round_trip(name, [main, *alone], given).tracks[len(alone) :]
            tracks += [_common(track, copy) for copy in back[:1]]
    kept = {key: text for key, text in head.metadata.items() if whole.metadata.get(key) == text}
    return Head(tuple(tracks), head.chapters if whole.chapters else (), kept)


def untold(result: Path, earliest: Fraction) -> dict[str, str]:
    """Return names of film figures that a result's codec or container is not told, and why.

    Args:
        result: The file.
        earliest: Seconds at which the first of the source's streams begins; AAC in MP4 begins before 0.
    """
    with open_video(result) as made:
        codec = video_stream_of(made).codec_context.codec.canonical_name
        is_matroska = made.format.name.startswith("matroska")
    reasons = {} if codec in _HDR_CODECS else dict.fromkeys(_HDR, f"{codec} does not carry it")
    if is_matroska:
        reasons["duration"] = "Matroska does not tell how long the last frame stays; --container mp4 does"
    if is_matroska and earliest < 0:
        reasons["start"] = "Matroska tells no time before 0, where the sound begins; all begins as much later"
    if is_matroska and codec not in _ASPECT_CODECS:
        reasons["pixel aspect"] = f"of {codec}, Matroska is not told it; --container mp4 or another --codec keeps it"
    return reasons


def _format_name(container: InputContainer, path: Path) -> str:
    """Return the one of a demuxer's names that a muxer has."""
    names = container.format.name.split(",")
    suffix = path.suffix.lower().lstrip(".")
    return suffix if suffix in names else {"matroska": "matroska", "mov": "mp4"}.get(names[0], names[0])


def _round_trip(format_name: str, copies: Sequence[_Copy], given: InputContainer) -> Head:
    """Write streams with all metadata and chapters, and read what has become of them; nothing, if it is refused."""
    file = io.BytesIO()
    try:
        with av.open(file, "w", format=format_name) as trial:
            trial.metadata.update(given.metadata)
            trial.set_chapters(given.chapters())
            packets = [_first_packet(trial, copy) for copy in copies]
            trial.start_encoding()
            trial.mux([packet for packet in packets if packet.size])
        with av.open(io.BytesIO(file.getvalue()), "r") as back:
            return read_head(back, video_stream_of(back))
    except (av.FFmpegError, ValueError, RefusedVideo):
        return _NOTHING


def _first_packet(trial: OutputContainer, copy: _Copy) -> av.Packet:
    stream = trial.add_stream_from_template(copy.stream, opaque=True)
    stream.metadata.update(copy.told.metadata)
    stream.disposition = copy.told.disposition
    packet = av.Packet(copy.first)
    packet.pts = packet.dts = 0
    packet.duration, packet.time_base, packet.stream = 1, Fraction(1, 1000), stream
    packet.is_keyframe = True
    return packet


def _common(track: Track, copy: Track) -> Track:
    """Return what a stream and its copy have in common."""
    return replace(
        track,
        language=track.language if copy.language == track.language else None,
        metadata={key: text for key, text in track.metadata.items() if copy.metadata.get(key) == text},
        flags=track.flags & copy.flags,
    )
