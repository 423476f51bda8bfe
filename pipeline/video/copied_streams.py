"""Streams that are copied beside the restored video, and their packets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream

from pipeline.video.container import demuxed, open_video
from pipeline.video.container_choice import supports
from pipeline.video.sound import add_pcm, decoded_samples, is_decodable
from pipeline.video.window import Window

# Stream metadata that describe the source file rather than the content.
_STREAM_ONLY_METADATA = ("BPS", "NUMBER_OF_", "_STATISTICS_", "DURATION", "encoder", "ENCODER", "alpha_mode")

# Seconds of the decoding timestamp, rank among equal ones, number, packet.
Timed = tuple[Fraction, int, int, av.Packet]


def add_copy(out: OutputContainer, given: InputContainer, stream: Stream) -> Stream | None:
    """Add a stream like one of the source's; as decoded samples where the container holds no copy of its sound.

    Args:
        out: The result.
        given: The source.
        stream: One of the source's that is not restored.

    Returns:
        The new stream; None for what the container cannot hold, and for what it holds in another way: a cover image
        becomes an attachment of Matroska, which would make a second video of it.
    """
    if _is_cover(stream) and out.format.name == "matroska":
        _attach_cover(out, given, stream)
        return None
    if not _is_timecode(stream) and supports(out.format.name, stream):
        copy = out.add_stream_from_template(stream, opaque=True)
    elif isinstance(stream, AudioStream) and is_decodable(stream):
        copy = add_pcm(out, stream)
    else:
        return None
    describe(copy, stream)
    return copy


def describe(copy: Stream, stream: Stream) -> None:
    """Give a stream the metadata and the disposition of the source's."""
    copy.metadata.update(
        {key: text for key, text in stream.metadata.items() if not key.startswith(_STREAM_ONLY_METADATA)}
    )
    copy.disposition = stream.disposition


def copied_packets(given: InputContainer, copies: dict[int, Stream], window: Window) -> Iterator[Timed]:
    """Yield the packets of the source's other streams for those of the result, in the order of the file.

    Args:
        given: The source.
        copies: The new streams by the number of the source's.
        window: The part of the source that was restored.
    """
    wanted = [stream for stream in given.streams if stream.index in copies and stream.type != "attachment"]
    if not wanted:
        return
    latest = Fraction(-(10**9))
    ends: dict[int, int] = {}
    decoded: dict[int, int] = {}
    for number, packet in enumerate(demuxed(given, wanted)):
        if packet.size and _is_cover(packet.stream):  # it has no timestamp
            packet.pts = packet.dts = 0
            packet.stream = copies[packet.stream.index]
            yield latest, 1, number, packet
            continue
        at = packet.dts if packet.dts is not None else packet.pts
        if at is not None and not window.contains(at * packet.time_base):
            continue
        seconds = latest + window.shift if at is None else at * packet.time_base
        if isinstance(packet.stream, AudioStream) and _is_pcm_of(copies[packet.stream.index], packet.stream):
            latest = max(latest, seconds - window.shift)
            pcm = _pcm_packets(packet, packet.stream, copies[packet.stream.index], window, ends)
            yield from ((latest, 1, number, samples) for samples in pcm)
            continue
        if at is None:
            continue
        base = packet.time_base
        packet.pts = None if packet.pts is None else window.shifted(packet.pts, base)
        packet.dts = None if packet.dts is None else window.shifted(packet.dts, base)
        _delay(packet, decoded)
        packet.stream = copies[packet.stream.index]
        latest = max(latest, seconds - window.shift)
        yield latest, 1, number, packet


def _delay(packet: av.Packet, decoded: dict[int, int]) -> None:
    """Delay a packet to behind the last of its stream, as every container demands; damaged files have others."""
    if packet.dts is None:
        return
    index = packet.stream.index
    packet.dts = max(packet.dts, decoded.get(index, packet.dts - 1) + 1)
    packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
    decoded[index] = packet.dts


def _is_pcm_of(copy: Stream, stream: AudioStream) -> bool:
    """Return whether a stream of the result holds the decoded samples of the source's."""
    return copy.codec_context.codec.canonical_name != stream.codec_context.codec.canonical_name


def _pcm_packets(
    packet: av.Packet, stream: AudioStream, pcm: Stream, window: Window, ends: dict[int, int]
) -> Iterator[av.Packet]:
    """Decode a packet and yield its samples; a start rounded to the source's ticks continues where the last ended."""
    assert isinstance(pcm, AudioStream)
    if not packet.size and window.stop is not None:
        return
    for frame in decoded_samples(packet, stream):
        assert frame.time_base is not None
        end = ends.get(stream.index)
        start = end if frame.pts is None else window.shifted(frame.pts, frame.time_base)
        tick = packet.time_base / frame.time_base
        frame.pts = end if end is not None and (start is None or abs(start - end) <= tick) else start or 0
        ends[stream.index] = frame.pts + frame.samples
        yield from pcm.encode(frame)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _attach_cover(out: OutputContainer, given: InputContainer, stream: Stream) -> None:
    with open_video(Path(given.name)) as again:
        image = next((bytes(packet) for packet in demuxed(again, [again.streams[stream.index]])), b"")
    kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
    name = stream.metadata.get("filename", f"cover.{kind}")
    out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), image)


def _is_timecode(stream: Stream) -> bool:
    """Return whether it is a timecode track, which libav generates from the video's metadata."""
    return stream.type == "data" and "timecode" in stream.metadata
