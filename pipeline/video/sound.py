"""Decode sound that a container cannot store into PCM, which every container stores, sample for sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from pipeline.video.container import demuxed, open_video
from pipeline.video.contents import Track
from pipeline.video.damage import DAMAGED
from pipeline.video.window import Window

# By libav's sample format without the p for planar; 24-bit samples are decoded to s32. Eight bits are stored in 16,
# because MP4 has no PCM of eight.
_PCM = {"u8": "pcm_s16le", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}
_SAMPLES = {"u8": "s16"}


def is_decodable(stream: Stream) -> bool:
    """Return whether a stream is sound that can be stored as PCM."""
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        return False
    return _sample_format(stream) in _PCM and stream.codec_context.layout.nb_channels > 0


def add_pcm(out: OutputContainer, stream: AudioStream) -> AudioStream:
    """Add a stream that takes the decoded samples of another."""
    pcm = out.add_stream(pcm_codec(stream), rate=stream.codec_context.sample_rate)
    context = cast(AudioCodecContext, pcm.codec_context)
    context.layout, context.format = _stored_layout(stream), _stored_format(stream)
    return cast(AudioStream, pcm)


def pcm_codec(stream: AudioStream) -> str:
    """Return libav's name of the PCM that holds the decoded samples exactly."""
    return _PCM[_sample_format(stream)]


def decoded_samples(packet: av.Packet, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """Decode a packet of a stream into interleaved samples; what cannot be decoded is left out."""
    try:
        frames = cast(list[av.AudioFrame], packet.decode())
    except DAMAGED:
        return
    name, layout = _stored_format(stream), _stored_layout(stream)
    for frame in frames:
        pts = frame.pts
        for packed in av.AudioResampler(format=name, layout=layout, rate=frame.sample_rate).resample(frame):
            packed.pts = None if pts is None else round(pts * packet.time_base * frame.sample_rate)
            packed.time_base = Fraction(1, frame.sample_rate)
            yield packed


def decoded_track(path: Path, track: Track, window: Window) -> Track:
    """Return a stream of a file as PCM, with the hash of its samples within the window."""
    digest = hashlib.sha256()
    with open_video(path) as given:
        stream = cast(AudioStream, given.streams[track.index])
        for packet in demuxed(given, [stream]):
            at = packet.dts if packet.dts is not None else packet.pts
            is_inside = window.stop is None if at is None else window.contains(at * packet.time_base)
            if is_inside:  # at the end, an empty packet yields what is left in the decoder
                for frame in decoded_samples(packet, stream):
                    digest.update(_samples(frame))
        return replace(track, codec=pcm_codec(stream), sha256=digest.hexdigest())


def _samples(frame: av.AudioFrame) -> bytes:
    size = frame.samples * frame.layout.nb_channels * frame.format.bytes
    return bytes(frame.planes[0])[:size]


def _sample_format(stream: AudioStream) -> str:
    """Return libav's name without the p; none where only decoding shows the format, as of WavPack."""
    return str(getattr(stream.codec_context.format, "name", "")).removesuffix("p")


def _stored_format(stream: AudioStream) -> str:
    return _SAMPLES.get(_sample_format(stream), _sample_format(stream))


def _stored_layout(stream: AudioStream) -> str:
    """Return the channel layout; old formats state only the number of channels, which MP4 does not accept."""
    name = stream.codec_context.layout.name
    return {"1 channels": "mono", "2 channels": "stereo"}.get(name, name)
