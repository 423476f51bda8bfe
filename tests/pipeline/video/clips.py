"""Small unusual videos, written by PyAV; every frame encodes its number in its pixels.

    | 128 | 64 | 32 | 16 | 8 | 4 | 2 | 1 |     upper half: a column is white where the number has this bit
    | 128 | 64 | 32 | 16 | 8 | 4 | 2 | 1 |     lower half: the inverse

``numbers_of`` reads them at any size, so that dropped, doubled and reordered frames are found in upscaled results, too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer

from pipeline.video import sample_entry
from pipeline.video.frame_facts import with_messages

QUICK = {
    "libx264": {"preset": "ultrafast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
}
_LIGHT = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
# For libx265: a display with the primaries of P3 and 0.0001 to 1000 cd/m2.
HDR10 = {"x265-params": f"{QUICK['libx265']['x265-params']}:hdr10=1:{_LIGHT}"}


@dataclass(frozen=True)
class ClipSpec:
    """Encoder settings and frames of a clip.

    Attributes:
        colours: Matrix, primaries, transfer and range by libav's numbers.
        times: Presentation timestamp of each frame in ticks; frame numbers count from 0.
    """

    codec: str = "libx264"
    size: tuple[int, int] = (64, 48)
    pix_fmt: str = "yuv420p"
    times: Sequence[int] = tuple(range(8))
    time_base: Fraction = Fraction(1, 25)
    options: dict[str, str] = field(default_factory=dict)
    colours: tuple[int, int, int, int] = (6, 6, 6, 1)
    aspect: Fraction = Fraction(1)
    display_matrix: tuple[int, ...] | None = None
    fields: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


def variable_rate(path: Path) -> Path:
    """Variable frame rate: all frame durations differ."""
    ticks = (0, 1001, 4004, 4500, 12345, 12999, 30001, 45000)
    return _write(path.with_suffix(".mp4"), ClipSpec(times=ticks, time_base=Fraction(1, 30000)))


def plain(path: Path, codec: str, time_base: Fraction = Fraction(1, 25)) -> Path:
    """Eight frames at 25 per second, and nothing else."""
    step = int(Fraction(1, 25) / time_base)
    return _write(path, ClipSpec(codec, times=range(0, 8 * step, step), time_base=time_base))


def b_frames(path: Path) -> Path:
    """Coded order differs from display order; two frames are still in the decoder at the end of the file."""
    options = {"preset": "veryfast", "bf": "2", "x264-params": "b-adapt=0:scenecut=0"}
    return _write(path.with_suffix(".mp4"), ClipSpec(times=range(12), options=options))


def joined(path: Path, later: int = 0) -> Path:
    """Two recordings in one file; the clock of the second starts ``later`` seconds after that of the first."""
    options = {"preset": "veryfast", "bf": "2", "x264-params": "b-adapt=0:scenecut=0"}
    parts = []
    for number in (0, 1):
        begin = 90000 + number * later * 90000
        spec = ClipSpec(times=range(begin, begin + 12 * 3600, 3600), time_base=Fraction(1, 90000), options=options)
        part = path.with_name(f"{path.stem}_{number}.ts")
        parts.append(_write(part, spec, audio="mp2", audio_start=Fraction(1) + number * later))
    path = path.with_suffix(".ts")
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path


def gap_in_sound(path: Path) -> Path:
    """A frame every second for 24 seconds; the sound is missing from 5 to 20 seconds."""
    spec = ClipSpec(times=range(1, 25), time_base=Fraction(1))
    path, whole = path.with_suffix(".ts"), path.with_name("whole.mkv")
    with av.open(str(whole), "w") as container:
        video, sound = _VideoWriter(container, spec), _AudioWriter(container, "mp2")
        video.write()
        sound.write(24, Fraction(1))
    with av.open(str(whole)) as given, av.open(str(path), "w") as out:
        copies = [out.add_stream_from_template(stream, opaque=True) for stream in given.streams]
        for packet in given.demux():
            if packet.size and (packet.stream_index == 0 or not 5 < packet.pts * packet.time_base < 20):
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    whole.unlink()
    return path


def counted_b_frames(path: Path) -> Path:
    """AVI numbers its packets, which B-frames reorder; a raw stream of H.264 (``.h264``) has no times at all."""
    options = {"preset": "veryfast", "bf": "2", "x264-params": "b-adapt=0:scenecut=0"}
    return _write(path if path.suffix else path.with_suffix(".avi"), ClipSpec(times=range(12), options=options))


def hdr10(path: Path) -> Path:
    """10-bit HEVC in BT.2020 with PQ, mastering display and content light level."""
    spec = ClipSpec("libx265", pix_fmt="yuv420p10le", times=range(4), colours=(9, 9, 16, 1), options=HDR10)
    return _write(path.with_suffix(".mp4"), spec)


def two_languages(path: Path) -> Path:
    """Two audio tracks, subtitles, a font, chapters and tags, in Matroska."""
    path = path.with_suffix(".mkv")
    with av.open(str(path), "w") as container:
        video = _VideoWriter(
            container, ClipSpec(times=tuple(number * 40 for number in range(8)), time_base=Fraction(1, 1000))
        )
        video.stream.metadata.update({"language": "eng", "title": "Main"})
        english, german = _AudioWriter(container, "aac"), _AudioWriter(container, "flac", pitch=880)
        english.stream.metadata.update({"language": "eng", "title": "Stereo"})
        german.stream.metadata.update({"language": "ger", "title": "Kommentar"})
        german.stream.disposition = av.stream.Disposition.comment
        subtitles = container.add_mux_stream("subrip")
        subtitles.time_base = Fraction(1, 1000)
        subtitles.metadata.update({"language": "fre", "title": "Sous-titres"})
        container.add_attachment("letters.ttf", "font/ttf", bytes(range(256)))
        container.metadata.update({"title": "Two languages", "comment": "made up", "DIRECTOR": "nobody"})
        container.set_chapters([_chapter(1, 0, 120, "One"), _chapter(2, 120, 320, "Two")])
        video.write()
        english.write(0.32)
        german.write(0.32)
        for start, text in ((0, b"Bonjour"), (160, b"Au revoir")):
            line = av.Packet(text)
            line.pts = line.dts = start
            line.duration, line.time_base, line.stream = 120, Fraction(1, 1000), subtitles
            container.mux(line)
    return path


def rotated(path: Path) -> Path:
    """A phone video in portrait: stored in landscape, with a display matrix."""
    upright = (0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 1 << 30)
    return _write(path.with_suffix(".mp4"), ClipSpec(display_matrix=upright), audio="aac")


def tilted(path: Path) -> Path:
    """To be displayed turned by 45 degrees."""
    matrix = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    return _write(path.with_suffix(".mp4"), ClipSpec(display_matrix=matrix))


def captioned(path: Path) -> Path:
    """Closed captions in every frame, and user data in the second, as messages of H.264 (SEI)."""
    whole = _write(path.with_name("plain.mp4"), ClipSpec(options={"bf": "2", "x264-params": "b-adapt=0"}))
    path = path.with_suffix(".mp4")
    with av.open(str(whole)) as given, av.open(str(path), "w") as out:
        main = given.streams.video[0]
        video = out.add_stream_from_template(main, opaque=True)
        for packet in given.demux(main):
            if packet.size:
                number = packet.pts // 512
                captions = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + bytes([0, number]) + b"\xff"
                messages = b"\x04" + bytes([len(captions)]) + captions
                if number == 1:
                    messages += b"\x05\x14" + bytes(range(16)) + bytes([0, 0, 1, 0])
                data = with_messages(bytes(packet), messages, "h264")
                changed = av.Packet(data)
                changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
                changed.time_base, changed.is_keyframe, changed.stream = packet.time_base, packet.is_keyframe, video
                out.mux(changed)
    whole.unlink()
    return path


def with_boxes(path: Path, *boxes: bytes, clip: Callable[[Path], Path] | None = None) -> Path:
    """Boxes of MP4 in the sample entry of the video."""
    plain = (clip or one_frame)(path.with_name("plain"))
    with av.open(str(plain)) as given:
        main = given.streams.video[0]
        header = sample_entry.with_boxes(sample_entry.header_of(main), b"".join(boxes))
        with av.open(io.BytesIO(header), "r") as template:
            options = {} if path.suffix == ".mkv" else {"strict": "unofficial"}
            with av.open(str(path), "w", options=options) as out:
                video = out.add_stream_from_template(template.streams.video[0], opaque=True)
                video.time_base = main.time_base
                for packet in given.demux(main):
                    if packet.size:
                        packet.stream = video
                        out.mux(packet)
    plain.unlink()
    if path.suffix == ".mp4":
        sample_entry.hide_apple_views(path)
    return path


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


SPHERE = (
    box(b"st3d", bytes(4) + b"\x02"),
    box(
        b"sv3d",
        box(b"svhd", bytes(4) + b"maker\0")
        + box(b"proj", box(b"prhd", bytes(4) + bytes([0, 30, 0, 0] * 3)) + box(b"equi", bytes(20))),
    ),
)


def dolby_vision(profile: int, compatible: int) -> bytes:
    """The configuration box of Dolby Vision (ETSI TS 103 572)."""
    return box(b"dvcC", bytes([1, 0, profile << 1, 3 << 3 | 5, compatible << 4]) + bytes(19))


def with_sound(path: Path, codec: str) -> Path:
    """A video in any container, with sound in any codec, as old cameras write it."""
    video = "wmv2" if path.suffix == ".wmv" else "mpeg4" if path.suffix in (".avi", ".3gp") else "libx264"
    rate = {"libopencore_amrnb": 8000, "nellymoser": 8000}.get(codec, 48000)
    with av.open(str(path), "w") as container:
        clip = _VideoWriter(container, ClipSpec(video, options={"bf": "0"} if video == "libx264" else {}))
        stream = container.add_stream(codec, rate=rate, layout="stereo" if codec in ("pcm_bluray", "wmav2") else "mono")
        if codec == "wmav2":
            stream.bit_rate = 64000
        container.start_encoding()
        clip.write()
        context = stream.codec_context
        size = context.frame_size or rate // 25
        for begin in range(0, rate * 8 // 25 // size * size, size):
            frame = av.AudioFrame(context.format.name, context.layout.name, size)
            for plane in frame.planes:
                plane.update(bytes((begin + at) % 64 for at in range(plane.buffer_size)))
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def camcorder(path: Path) -> Path:
    """MPEG-2 in the container that a camcorder's suffix stands for."""
    muxer = {".mod": "mpeg", ".tod": "mpegts", ".m2v": "mpeg2video"}[path.suffix]
    with av.open(str(path), "w", format=muxer) as container:
        _VideoWriter(container, ClipSpec("mpeg2video")).write()
    return path


def late_video(path: Path) -> Path:
    """The video starts 0.48 s after its audio."""
    return _write(path.with_suffix(".mp4"), ClipSpec(times=range(12, 20)), audio="aac")


def several_segments(path: Path) -> Path:
    """More frames than are encoded together, with sound."""
    return _write(path.with_suffix(".mp4"), ClipSpec(times=range(320)), audio="aac")


def late_start(path: Path) -> Path:
    """Video and audio start long after 0, as in a part of a recording."""
    spec = ClipSpec(times=tuple(range(900000, 900000 + 8 * 3600, 3600)), time_base=Fraction(1, 90000))
    return _write(path.with_suffix(".ts"), spec, audio="mp2", audio_start=Fraction(10) - Fraction(1, 10))


def edit_list(path: Path) -> Path:
    """The first three frames lie before 0, so an edit list leaves them out."""
    return _write(path.with_suffix(".mp4"), ClipSpec(times=range(-3, 8)), audio="aac")


def odd_size(path: Path) -> Path:
    """Both sides are odd, so subsampled chroma is rounded up."""
    return _write(path.with_suffix(".mkv"), ClipSpec("ffv1", size=(321, 179), times=range(3)))


def wide_pixels(path: Path) -> Path:
    """Anamorphic PAL."""
    return _write(path.with_suffix(".mp4"), ClipSpec(aspect=Fraction(64, 45)))


def interlaced(path: Path) -> Path:
    """Every frame is two fields, the upper one first."""
    return _write(path.with_suffix(".mp4"), ClipSpec(fields=True, options={"x264-params": "tff=1"}))


def one_frame(path: Path) -> Path:
    """A video of a single frame."""
    return _write(path.with_suffix(".mp4"), ClipSpec(times=(0,)))


def no_frames(path: Path) -> Path:
    """A video stream without frames, next to audio."""
    return _write(path.with_suffix(".mkv"), ClipSpec(times=()), audio="aac")


def truncated(path: Path) -> Path:
    """Truncated in the middle of a frame, as by an aborted download."""
    whole = _write(path.with_suffix(".mp4"), ClipSpec(times=range(16)), options={"movflags": "faststart"})
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 7 // 10])
    return whole


def audio_only(path: Path) -> Path:
    """Audio without a video stream."""
    path = path.with_suffix(".m4a")
    with av.open(str(path), "w") as container:
        _AudioWriter(container, "aac").write(0.3)
    return path


def full_range(path: Path) -> Path:
    """Black is 0 and white 255 (yuvj420p)."""
    return _write(path.with_suffix(".mp4"), ClipSpec(pix_fmt="yuvj420p", colours=(6, 6, 6, 2)))


def vp9(path: Path) -> Path:
    """VP9 and Opus in WebM."""
    return _write(path.with_suffix(".webm"), ClipSpec("libvpx-vp9"), audio="libopus")


def timecode(path: Path) -> Path:
    """A camera recording with a timecode track."""
    return _write(path.with_suffix(".mov"), ClipSpec(metadata={"timecode": "01:02:03:04"}), audio="aac")


def located(path: Path) -> Path:
    """A recording with its place (ISO 6709)."""
    return _write(path, ClipSpec("flv1" if path.suffix == ".flv" else "mpeg4", metadata={"location": "+48.1-011/"}))


def cover(path: Path) -> Path:
    """A video with a cover image, as MP4 stores it."""
    path = path.with_suffix(".mp4")
    with av.open(str(path), "w") as container:
        video, audio = _VideoWriter(container, ClipSpec()), _AudioWriter(container, "aac")
        poster = container.add_stream("mjpeg", rate=25)
        poster.width, poster.height, poster.pix_fmt = 16, 16, "yuvj420p"
        poster.disposition = av.stream.Disposition.attached_pic
        container.mux(poster.encode(numbered_frame(1, (16, 16), "yuvj420p")))
        video.write()
        audio.write(0.32)
    return path


def cover_attached(path: Path) -> Path:
    """The same cover as a Matroska attachment, after a font."""
    with av.open(str(cover(path))) as given:
        image = next(bytes(packet) for packet in given.demux(video=1) if packet.size)
    path = path.with_suffix(".mkv")
    with av.open(str(path), "w") as container:
        video = _VideoWriter(container, ClipSpec(times=tuple(range(0, 320, 40)), time_base=Fraction(1, 1000)))
        container.add_attachment("letters.ttf", "font/ttf", bytes(range(256)))
        container.add_attachment("cover.jpg", "image/jpeg", image)
        video.write()
    return path


def transparent(path: Path) -> Path:
    """With an alpha channel."""
    return _write(path.with_suffix(".mov"), ClipSpec("prores_ks", pix_fmt="yuva444p10le", options={"profile": "4444"}))


WITH_FRAMES: tuple[Callable[[Path], Path], ...] = (
    variable_rate,
    b_frames,
    hdr10,
    two_languages,
    rotated,
    late_video,
    late_start,
    edit_list,
    odd_size,
    wide_pixels,
    interlaced,
    one_frame,
    truncated,
    full_range,
    vp9,
)
WITHOUT_FRAMES: tuple[Callable[[Path], Path], ...] = (no_frames, audio_only)


def numbers_of(path: Path) -> list[int]:
    """Return the numbers in the frames of a video, in display order.

    Raises:
        ValueError: for a frame without a number.
    """
    with av.open(str(path)) as container:
        return [number_in(frame.reformat(format="gray").to_ndarray()) for frame in container.decode(video=0)]


def times_of(path: Path) -> list[Fraction]:
    """Return the presentation timestamps of a video in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def number_in(luma: np.ndarray) -> int:
    """Return the number in a frame's luma, ``(H, W)`` of any type.

    Raises:
        ValueError: if there is none.
    """
    height, width = luma.shape
    columns = luma[:, (2 * np.arange(8) + 1) * width // 16].astype(float)
    upper, lower = columns[height // 8 : height * 3 // 8].mean(0), columns[height * 5 // 8 : height * 7 // 8].mean(0)
    if np.abs(upper - lower).min() < 0.3 * np.ptp(luma.astype(float)):
        raise ValueError(f"no number in a frame with the columns {upper.round()} above {lower.round()}")
    return int(np.packbits(upper > lower)[0])


def numbered_frame(number: int, size: tuple[int, int], pix_fmt: str) -> av.VideoFrame:
    """Return a frame with a number, in any planar YUV format; its colours are ramps."""
    frame = av.VideoFrame(*size, pix_fmt)
    bits = np.unpackbits(np.uint8(number % 256)).astype(bool)
    unit = 1 << (frame.format.components[0].bits - 8)
    for index, plane in enumerate(frame.planes):
        rows, columns = np.arange(plane.height)[:, None], np.arange(plane.width)[None]
        if index == 0:
            values = np.where(bits[columns * 8 // plane.width] ^ (rows * 2 >= plane.height), 200, 50)
        else:
            values = (
                96 + 64 * (rows if index == 1 else columns) // max(plane.height, plane.width) + 0 * (rows + columns)
            )
        dtype = np.dtype(np.uint8 if unit == 1 else "<u2")
        padded = np.zeros((plane.height, plane.line_size // dtype.itemsize), dtype)
        padded[:, : plane.width] = values * unit
        plane.update(padded)
    return frame


def write_frames(folder: Path, numbers: Iterable[int], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir()
    for number in numbers:
        luma = numbered_frame(number, size, "yuv420p").reformat(format="gray").to_ndarray()
        cv2.imwrite(str(folder / f"{number:06}.png"), luma)
    return folder


class _VideoWriter:
    """The video stream of a clip."""

    def __init__(self, container: OutputContainer, spec: ClipSpec) -> None:
        self._container, self._spec = container, spec
        rate = round(1 / spec.time_base) if spec.time_base > Fraction(1, 100) else 25
        self.stream = container.add_stream(spec.codec, rate=rate, options=QUICK.get(spec.codec, {}) | spec.options)
        context = self.stream.codec_context
        context.width, context.height = spec.size
        context.pix_fmt, context.time_base, context.sample_aspect_ratio = (
            spec.pix_fmt,
            spec.time_base,
            spec.aspect,
        )
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = spec.colours
        self.stream.metadata.update(spec.metadata)
        if spec.fields:
            context.flags |= (1 << 18) | (1 << 29)  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
        if spec.display_matrix is not None:
            self.stream.set_display_matrix(spec.display_matrix)

    def write(self) -> None:
        for number, ticks in enumerate(self._spec.times):
            frame = numbered_frame(number, self._spec.size, self._spec.pix_fmt)
            frame.pts, frame.time_base = ticks, self._spec.time_base
            self._container.mux(self.stream.encode(frame))
        self._container.mux(self.stream.encode(None))


class _AudioWriter:
    """An audio stream of a clip: a sine tone."""

    def __init__(self, container: OutputContainer, codec: str, pitch: int = 440) -> None:
        self._container, self._pitch = container, pitch
        self.stream = container.add_stream(codec, rate=48000, layout="mono")

    def write(self, seconds: float, start: Fraction = Fraction(0)) -> None:
        size, pts = 960, round(start * 48000)
        format_name = self.stream.codec_context.format.name
        for begin in range(0, round(seconds * 48000), size):
            wave = 0.3 * np.sin(2 * np.pi * self._pitch * np.arange(begin, begin + size) / 48000)
            samples = wave.astype(np.float32) if format_name.startswith("flt") else (wave * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format_name, "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, pts + begin, Fraction(1, 48000)
            self._container.mux(self.stream.encode(frame))
        self._container.mux(self.stream.encode(None))


def _write(
    path: Path,
    spec: ClipSpec,
    *,
    audio: str | None = None,
    audio_start: Fraction = Fraction(0),
    options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=options or {}) as container:
        video = _VideoWriter(container, spec)
        track = None if audio is None else _AudioWriter(container, audio)
        container.start_encoding()
        video.write()
        if track is not None:
            track.write(0.4, audio_start)
    return path


def _chapter(number: int, start: int, end: int, title: str) -> av.container.Chapter:
    return {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
