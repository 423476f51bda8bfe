"""Make a result of a video in plain PyAV, with chosen faults, and compare both."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.video.conformance import compare_videos
from pipeline.video.property_comparison import PropertyComparison
from tests.pipeline.video import clips

Clip = Callable[[Path], Path]


# So that Matroska does not shift negative timestamps, and that offsets in MP4 are finer than 1 ms.
EXACT = {
    ".mkv": {"avoid_negative_ts": "disabled"},
    ".mp4": {"movie_timescale": "90000", "movflags": "use_metadata_tags"},
}


def remake(
    source: Path,
    target: Path,
    *,
    scale: int = 2,
    codec: str = "libx264",
    frames: Callable[[list[Any]], list[Any]] = list,
    packets: Callable[[list[Any]], list[Any]] = list,
    streams: Callable[[list[Any]], list[Any]] = list,
    change: Callable[[Any, Any], None] = lambda out, video: None,
) -> Path:
    """Upscale a video and copy all other streams, in plain PyAV.

    Args:
        source: The file.
        target: Where to.
        scale: Ratio of the sizes.
        codec: Encoder of the video.
        frames: Changes the list of frames.
        packets: Changes the list of the other packets.
        streams: Changes the list of the source's streams.
        change: Called with the container and the video stream before the first packet is written.
    """
    with (
        av.open(str(source)) as given,
        av.open(str(source)) as again,
        av.open(str(target), "w", options=EXACT[target.suffix]) as out,
    ):
        main = given.streams.video[0]
        decoded = frames(decode(given, main))
        copies: dict[int, Any] = {}
        for stream in streams(list(given.streams)):
            if stream is main:
                video = add_video_stream(out, main, decoded[0], codec, scale)
            elif out.format.name == "matroska" or stream.type == "audio":
                copies[stream.index] = out.add_stream_from_template(stream, opaque=True)
                copies[stream.index].metadata.update(stream.metadata)
                copies[stream.index].disposition = stream.disposition
        out.metadata.update(given.metadata)
        out.set_chapters(given.chapters())
        change(out, video)
        for frame in decoded:
            out.mux(video.encode(upscaled(frame, scale, video.codec_context.pix_fmt)))
        out.mux(video.encode(None))
        for packet in packets(copied(again, copies)):
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
    return target


def decode(given: Any, main: Any) -> list[Any]:
    found = []
    for packet in given.demux(main):
        try:
            found += packet.decode()
        except av.error.InvalidDataError:
            continue
    return found


def add_video_stream(out: Any, main: Any, frame: Any, codec: str, scale: int) -> Any:
    options = clips.QUICK.get(codec, {}) | (clips.HDR10 if codec == "libx265" else {})
    video = out.add_stream(codec, rate=25, options=options)
    context = video.codec_context
    context.width, context.height = frame.width * scale, frame.height * scale
    context.pix_fmt, context.time_base = frame.format.name, main.time_base
    context.sample_aspect_ratio = main.sample_aspect_ratio or Fraction(1)
    context.colorspace, context.color_range = frame.colorspace, frame.color_range
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
    video.metadata.update(main.metadata)
    video.disposition = main.disposition
    video.set_display_rotation(frame.rotation)
    return video


def upscaled(frame: Any, scale: int, pix_fmt: str) -> Any:
    large = frame.reformat(frame.width * scale, frame.height * scale, pix_fmt)
    large.pts, large.time_base, large.duration = frame.pts, frame.time_base, frame.duration
    large.pict_type = 0
    return large


def copied(given: Any, copies: dict[int, Any]) -> list[Any]:
    wanted = [given.streams[index] for index in copies if given.streams[index].type != "attachment"]
    return [packet for packet in given.demux(wanted) if packet.size] if wanted else []


def verify(*files: Path, scale: int | None = None) -> list[PropertyComparison]:
    return [comparison for comparison in compare_videos(*files, scale=scale) if not comparison.agrees]


def names(comparisons: list[PropertyComparison]) -> set[str]:
    return {comparison.name for comparison in comparisons}


def encoder_for(clip: Clip) -> str:
    return {clips.hdr10: "libx265", clips.odd_size: "ffv1"}.get(clip, "libx264")
