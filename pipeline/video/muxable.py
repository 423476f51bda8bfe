"""Find what a container can store by muxing a trial file.

libav has no table of this. Every stream is copied with its first packet next to the video into a small file of the
result's container, in memory, and read back.
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
from pipeline.video.contents import MAIN_VIDEO, ContainerHeader, Track
from pipeline.video.frame_facts import CARRIED, NOT_CARRIED, SPHERICAL, STEREO
from pipeline.video.inventory import read_header
from pipeline.video.metadata_keys import metadata_flag
from pipeline.video.options import FORMATS

# Names of properties, and the codecs that carry them in their own bitstream.
_HDR = ("mastering display", "content light")
_HDR_CODECS = frozenset({"av1", "h264", "hevc"})
# libav's Matroska muxer reads the pixel aspect from a field that PyAV cannot set; these codecs store it themselves.
_ASPECT_CODECS = frozenset({"h264", "hevc"})
_MESSAGE_CODECS = frozenset({"h264", "hevc"})
_NOTHING = ContainerHeader((), (), {})


class _StreamCopy(NamedTuple):
    """A stream to copy, its first packet, and the source's stream with its metadata and dispositions."""

    stream: Stream
    first: bytes
    described_by: Stream


def muxable(source: Path, header: ContainerHeader, result: Path, video: Track) -> ContainerHeader:
    """Return which of a source's streams, chapters and metadata the result's container can store.

    Args:
        source: The file.
        header: Its streams, chapters and metadata.
        result: A file in the container in question.
        video: The result's main video, used in place of the source's, whose codec may differ.
    """
    with open_video(source) as given, open_video(result) as made:
        name = muxer_name(made, result)
        main = _StreamCopy(video_stream_of(made), video.first, video_stream_of(given))
        whole = _round_trip(name, [main], given)
        if not whole.tracks:  # not even the video can be muxed, so a trial proves nothing
            return header
        tracks = []
        for track in header.tracks:
            stream = given.streams[track.index]
            alone = [] if track.kind == MAIN_VIDEO else [_StreamCopy(stream, track.first, stream)]
            back = _round_trip(name, [main, *alone], given).tracks[len(alone) :]
            tracks += [_common(track, copy) for copy in back[:1]]
    kept = {key: text for key, text in header.metadata.items() if whole.metadata.get(key) == text}
    return ContainerHeader(tuple(tracks), header.chapters if whole.chapters else (), kept)


def unsupported_properties(result: Path, earliest: Fraction) -> dict[str, str]:
    """Return names of video properties that a result's codec or container does not store, each with the reason.

    Args:
        result: The file.
        earliest: Earliest timestamp of all streams of the source in seconds; negative for AAC in MP4.
    """
    with open_video(result) as made:
        codec = video_stream_of(made).codec_context.codec.canonical_name
        is_matroska = made.format.name.startswith("matroska")
    reasons = {} if codec in _HDR_CODECS else dict.fromkeys(_HDR, f"{codec} does not store it")
    reasons |= dict.fromkeys(NOT_CARRIED, "not carried: it describes the original's frames")
    if codec not in _MESSAGE_CODECS:
        reasons |= dict.fromkeys(CARRIED, f"not written with {codec}; h264 and hevc store it")
    if not (is_matroska or result.suffix.lower() in (".mp4", ".m4v")):
        reasons |= dict.fromkeys((SPHERICAL, STEREO), f"not written to {result.suffix}; mp4 stores it")
    if is_matroska:
        reasons["duration"] = "Matroska does not store the duration of the last frame; mp4 does"
    if is_matroska and earliest < 0:
        reasons["start"] = "Matroska has no negative timestamps, where the audio starts; all streams are shifted"
    if is_matroska and codec not in _ASPECT_CODECS:
        reasons["pixel aspect"] = f"not written to Matroska with {codec}; mp4 or another codec stores it"
    return reasons


def muxer_name(container: InputContainer, path: Path) -> str:
    """Return the name of the muxer for a container that was opened by a demuxer with several names."""
    names = container.format.name.split(",")
    suffix = path.suffix.lower().removeprefix(".")
    own = FORMATS.get(suffix, suffix)
    if own in names:
        return own
    return next((known for known in FORMATS.values() if known in names), names[0])


def _round_trip(muxer: str, copies: Sequence[_StreamCopy], given: InputContainer) -> ContainerHeader:
    """Mux streams with all metadata and chapters, and return the header read back; empty if muxing fails."""
    file = io.BytesIO()
    try:
        flag = "" if muxer == "matroska" else metadata_flag(given)
        flags = {"movflags": flag} if flag else {}
        with av.open(file, "w", format=muxer, options=flags) as trial:
            trial.metadata.update(given.metadata)
            trial.set_chapters(given.chapters())
            packets = [_first_packet(trial, copy) for copy in copies]
            trial.start_encoding()
            trial.mux([packet for packet in packets if packet.size])
        with av.open(io.BytesIO(file.getvalue()), "r") as back:
            return read_header(back, video_stream_of(back))
    except (av.FFmpegError, ValueError, RefusedVideo):
        return _NOTHING


def _first_packet(trial: OutputContainer, copy: _StreamCopy) -> av.Packet:
    stream = trial.add_stream_from_template(copy.stream, opaque=True)
    stream.metadata.update(copy.described_by.metadata)
    stream.disposition = copy.described_by.disposition
    packet = av.Packet(copy.first)
    packet.pts = packet.dts = 0
    packet.duration, packet.time_base, packet.stream = 1, Fraction(1, 1000), stream
    packet.is_keyframe = True
    return packet


def _common(track: Track, copy: Track) -> Track:
    """Return a stream reduced to what its copy has, too."""
    return replace(
        track,
        language=track.language if copy.language == track.language else None,
        metadata={key: text for key, text in track.metadata.items() if copy.metadata.get(key) == text},
        flags=track.flags & copy.flags,
    )
