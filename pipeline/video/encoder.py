"""Set up encoders: check the chosen options, select a pixel format, pass colour tags and HDR metadata."""

from __future__ import annotations

import io
import os
import struct
from fractions import Fraction
from typing import cast

import av
import torch
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline.errors import ConfigError
from pipeline.video.colour import YUV
from pipeline.video.options import CONTAINERS, VideoOptions
from pipeline.video.planes import pix_fmt_of, shape_of
from pipeline.video.probe import Footage

# The option of each encoder that takes those of its own, such as HDR metadata.
_PARAMETERS = {"libx265": "x265-params", "libx264": "x264-params", "libsvtav1": "svtav1-params"}
# These refuse odd sides along which chroma is subsampled.
_EVEN_ONLY = frozenset({"libx264", "libx265"})
_GLOBAL_HEADER = 1 << 22
# What x264 writes depends on how many frames it encodes at once, by default three for every two cores of the machine.
_X264_THREADS = 8
os.environ.setdefault("SVT_LOG", "1")  # else SVT-AV1 prints its settings for every segment


def check_codec(options: VideoOptions) -> None:
    """Raise ConfigError if there is no such encoder, or if it does not accept the chosen options."""
    try:
        codec = av.Codec(options.codec, "w")
    except av.codec.codec.UnknownCodecError:
        raise ConfigError(f"codec: got {options.codec!r}, expected a libav encoder such as libx264") from None
    if codec.name != options.codec:
        raise ConfigError(f"codec: got {options.codec!r}, expected one of its encoders, such as {codec.name}")
    formats = [known.name for known in codec.video_formats or ()]
    if codec.type != "video":
        raise ConfigError(f"codec: got {options.codec!r}, which encodes {codec.type}, expected a video encoder")
    workable = [name for name in formats if _is_workable(name)]
    if options.pix_fmt is not None and options.pix_fmt not in workable:
        known = ", ".join(workable)
        raise ConfigError(f"pix_fmt: got {options.pix_fmt!r}, expected one that {options.codec} supports: {known}")
    if options.container is not None and options.codec not in _codecs_of(options.container):
        known = ", ".join(name for name in CONTAINERS if options.codec in _codecs_of(name))
        raise ConfigError(f"container: got {options.container!r}, expected one that supports {options.codec}: {known}")
    _check_by_opening(options, options.pix_fmt or workable[0])


def _check_by_opening(options: VideoOptions, pix_fmt: str) -> None:
    """Open the encoder, the only way to validate a preset."""
    context = cast(VideoCodecContext, av.CodecContext.create(options.codec, "w"))
    context.width, context.height, context.pix_fmt = 256, 144, pix_fmt
    context.time_base = Fraction(1, 25)
    context.options = options.encoder_options()
    try:
        context.open()
    except av.FFmpegError as error:
        given = ", ".join(f"{key} {value}" for key, value in options.encoder_options().items())
        raise ConfigError(f"codec: {options.codec} does not accept {given} ({error.strerror})") from error
    if unused := list(context.options):
        raise ConfigError("\n".join(f"{name}: {options.codec} has no such option; omit it" for name in unused))


def _codecs_of(container: str) -> set[str]:
    with av.open(io.BytesIO(), "w", format=CONTAINERS[container]) as trial:
        return trial.supported_codecs


def layout_for(footage: Footage, options: VideoOptions, scale: int) -> YUV:
    """Return the result's planes: as chosen, else the source's own or the nearest that the encoder supports."""
    own = footage.layout
    if options.pix_fmt is not None:
        depth, halved = shape_of(options.pix_fmt)
        return YUV(depth, own.matrix, own.full_range, halved)
    formats = [known.name for known in av.Codec(options.codec, "w").video_formats or ()]
    shapes = [shape_of(name) for name in formats if _is_workable(name)]
    width, height = (side * scale for side in footage.size)
    divisible = [shape for shape in shapes if options.codec not in _EVEN_ONLY or _divides(shape[1], height, width)]
    depth, halved = min(divisible or shapes, key=lambda shape: _loss(own, *shape))
    return YUV(depth, own.matrix, own.full_range, halved)


def add_video_stream(
    container: OutputContainer, footage: Footage, layout: YUV, scale: int, options: VideoOptions
) -> VideoStream:
    """Add an encoder for upscaled frames to a container. Its timestamps are frame numbers."""
    encoder_options = options.encoder_options() | _further_options(footage, options)
    stream = cast(VideoStream, container.add_stream(options.codec, rate=footage.rate, options=encoder_options))
    context = stream.codec_context
    context.width, context.height = (side * scale for side in footage.size)
    context.pix_fmt = pix_fmt_of(layout)
    context.time_base = 1 / footage.rate
    context.thread_type = "AUTO"
    if options.codec == "libx264":
        context.thread_count = max(1, min(_X264_THREADS, context.height // 32))  # two rows of blocks each, or more
    context.flags |= _GLOBAL_HEADER
    if footage.aspect is not None:
        context.sample_aspect_ratio = footage.aspect
    context.colorspace, context.color_primaries = footage.colours.matrix, footage.colours.primaries
    context.color_trc, context.color_range = footage.colours.transfer, footage.colours.range
    return stream


def _is_workable(name: str) -> bool:
    known = av.VideoFormat(name)
    if known.is_rgb or known.has_palette or len(known.components) != 3 or name.startswith(("nv", "p0", "p2", "yuvj")):
        return False
    depth, halved = shape_of(name)
    return pix_fmt_of(YUV(depth, 1, False, halved)) == name


def _divides(halved: tuple[bool, bool], height: int, width: int) -> bool:
    return not ((halved[0] and height % 2) or (halved[1] and width % 2))


def _loss(own: YUV, depth: int, halved: tuple[bool, bool]) -> tuple[int, int, int]:
    """Rank a pixel format: by loss of chroma resolution, then by loss of depth, then by wasted bits."""
    lost = sum(new and not old for new, old in zip(halved, own.halved, strict=True))
    wasted = sum(old and not new for new, old in zip(halved, own.halved, strict=True))
    return lost, max(0, own.depth - depth), wasted * 16 + max(0, depth - own.depth)


def _further_options(footage: Footage, options: VideoOptions) -> dict[str, str]:
    """Return HDR metadata, and what makes the encoder's result the same on every machine, in its own option."""
    key = _PARAMETERS.get(options.codec)
    if key is None:
        return {}
    own = options.encoder_options().get(key)
    given = [*([own] if own else []), *_reproducible(options.codec)]
    given += [*_mastering(footage.mastering, options.codec), *_light(footage.light, options.codec)]
    return {key: ":".join(given)} if given else {}


def _reproducible(codec: str) -> list[str]:
    """Keep x264 from AVX-512: what it then writes depends on what the memory held before."""
    with_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return ["asm=AVX2"] if codec == "libx264" and with_avx512 else []


def _mastering(data: bytes | None, codec: str) -> list[str]:
    if data is None:
        return []
    numbers = struct.unpack("20i2i", data[:88])
    pairs = zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    *points, darkest, brightest = (Fraction(top, bottom or 1) for top, bottom in pairs)
    if codec == "libsvtav1":
        red, green, blue, white = (f"({float(points[at]):.5f},{float(points[at + 1]):.5f})" for at in (0, 2, 4, 6))
        luminance = f"({float(brightest):.4f},{float(darkest):.4f})"
        return [f"mastering-display=G{green}B{blue}R{red}WP{white}L{luminance}"]
    red, green, blue, white = (f"({round(points[at] * 50000)},{round(points[at + 1] * 50000)})" for at in (0, 2, 4, 6))
    luminance = f"({round(brightest * 10000)},{round(darkest * 10000)})"
    name = "master-display" if codec == "libx265" else "mastering-display"
    return [f"{name}=G{green}B{blue}R{red}WP{white}L{luminance}"]


def _light(data: bytes | None, codec: str) -> list[str]:
    if data is None:
        return []
    brightest, mean = struct.unpack("II", data[:8])
    return [{"libx265": "max-cll", "libx264": "cll", "libsvtav1": "content-light"}[codec] + f"={brightest},{mean}"]
