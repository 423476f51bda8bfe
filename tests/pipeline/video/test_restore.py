"""A video through a chain: exact pixels, exact timestamps, all other streams."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.video.conformance import compare_videos
from pipeline.video.options import VideoOptions
from pipeline.video.restore import RestoredVideo, VideoRestoration
from pipeline.video.sources import VideoFile
from stages.edsr import EDSRConfig
from stages.stage import StageConfig
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.video import clips

SAME = UnsharpMaskConfig(strength=0.0)
TWICE = EDSRConfig(width=2, depth=1, strength=0.0)
UNEVEN = (0, 512, 700, 2000, 2001, 2600, 5000, 5512, 9000)


def restore(source: Path, target: Path, stage: StageConfig = SAME, **options) -> RestoredVideo:
    engine = Engine(Chain.build(ChainConfig(stages=(stage,))), device="cpu")
    chosen = VideoOptions(**options)
    return VideoRestoration(VideoFile(source, chosen), engine, chosen, target.with_suffix(".partial")).run(target)


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [numbers(frame) for frame in container.decode(video=0)]


def numbers(frame: av.VideoFrame) -> np.ndarray:
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    rows = [np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]
    return np.concatenate([plane.flatten() for plane in rows])


@pytest.mark.parametrize("size", [(32, 24), (33, 23)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_a_chain_that_does_nothing_returns_the_very_pixels(write_video, tmp_path, pix_fmt, size):
    source = write_video("in.mkv", codec="ffv1", pix_fmt=pix_fmt, size=size)
    target = tmp_path / "out.mkv"
    restore(source, target, codec="ffv1")
    assert times(target) == times(source)
    for came, expected in zip(planes(target), planes(source), strict=True):
        assert (came == expected).all()


@pytest.mark.parametrize(("size", "pix_fmt"), [((33, 24), "yuv444p"), ((32, 23), "yuv422p"), ((32, 24), "yuv420p")])
def test_odd_sides_keep_all_their_pixels(write_video, tmp_path, size, pix_fmt):
    source, target = write_video("in.mkv", codec="ffv1", size=size), tmp_path / "out.mp4"
    result = restore(source, target, preset="ultrafast")
    with av.open(str(target)) as made:
        context = made.streams.video[0].codec_context
        assert ((context.width, context.height), context.pix_fmt) == (size, pix_fmt)
    assert (f"yuv420p is written as {pix_fmt}" in result.notes) == (pix_fmt != "yuv420p")
    assert not [comparison for comparison in compare_videos(source, target) if comparison.is_fault]


def test_a_size_that_an_encoder_does_not_take_is_reported(write_video, tmp_path):
    source = write_video("in.mkv", codec="ffv1", size=(33, 24))
    with pytest.raises(BrokenVideo, match=r"by libx264 with 33 x 24 pixels in yuv420p: .*; another codec"):
        restore(source, tmp_path / "out.mp4", pix_fmt="yuv420p")


@pytest.mark.skipif(sys.platform == "win32", reason="no file has a colon in its name there")
def test_a_name_is_not_taken_for_a_protocol(write_video, tmp_path, monkeypatch):
    write_video("10:30.mkv")
    monkeypatch.chdir(tmp_path)
    restore(Path("10:30.mkv"), Path("11:00.mp4"))
    assert len(times(Path("./11:00.mp4").absolute())) == 12


@pytest.mark.parametrize("start", [0, 12800])
@pytest.mark.parametrize("segment", [4, 250])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_uneven_times_and_a_late_start_are_kept(write_video, tmp_path, codec, segment, start):
    source = write_video(times=[start + pts for pts in UNEVEN], options={"bf": "3", "crf": "20"})
    target = tmp_path / "out.mp4"
    result = restore(source, target, TWICE, codec=codec, preset="veryfast", segment=segment)
    assert result.size == (64, 48)
    assert times(target) == times(source) == [(start + pts) / Fraction(12800) for pts in UNEVEN]


def test_one_frame(write_video, tmp_path):
    source, target = write_video(times=[0]), tmp_path / "out.mp4"
    restore(source, target)
    assert times(target) == times(source) == [0]


def test_what_lies_beside_the_images_is_copied(write_video, tmp_path):
    def describe(stream):
        stream.metadata["language"] = "deu"
        stream.set_display_rotation(90)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 16

    source, target = write_video("in.mp4", sound=2, prepare=describe), tmp_path / "out.mp4"
    restore(source, target, TWICE)
    with av.open(str(source)) as first, av.open(str(target)) as second:
        assert [stream.type for stream in second.streams] == ["video", "audio", "audio"]
        for track in (1, 2):
            packets = [
                [(p.pts, bytes(p)) for p in file.demux(file.streams[track]) if p.size] for file in (first, second)
            ]
            assert packets[0] == packets[1]
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(video=0))
        assert (frame.rotation, stream.sample_aspect_ratio, stream.metadata["language"]) == (90, Fraction(4, 3), "deu")
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (9, 1, 9, 16)


def test_subtitles_that_a_container_cannot_hold_are_reported(write_video, tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(write_video())) as clip, av.open(str(source), "w") as container:
        video = container.add_stream_from_template(clip.streams.video[0])
        words = container.add_mux_stream("subrip")
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
        line = av.Packet(b"Hello")
        line.pts = line.dts = 100
        line.duration, line.time_base, line.stream = 200, Fraction(1, 1000), words
        container.mux(line)
        container.set_chapters(
            [{"id": 1, "start": 0, "end": 240, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
        )
    assert not restore(source, tmp_path / "out.mkv").notes[1:]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [bytes(packet) for packet in container.demux(subtitles=0) if packet.size] == [b"Hello"]
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]
    restore(source, tmp_path / "out.mp4")
    lost = [str(comparison) for comparison in compare_videos(source, tmp_path / "out.mp4") if not comparison.agrees]
    assert lost == [
        "stream 1 (subtitle subrip): missing, expected present; not supported by this container; mkv may store it"
    ]


def test_a_preview_holds_the_frames_and_the_sound_of_its_time(write_video, tmp_path):
    source, target = write_video(sound=1), tmp_path / "out.mp4"
    restore(source, target, start=0.1, duration=0.2)
    assert times(target) == [time - Fraction(1, 10) for time in times(source) if 0.1 <= time < 0.3]
    with av.open(str(target)) as container:
        assert 0.15 < container.streams.audio[0].duration / 48000 < 0.25


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mkv"), ("libx264", ".mp4"), ("ffv1", ".mp4")])
def test_the_pixel_aspect_is_kept(tmp_path, codec, suffix):
    source, target = clips.wide_pixels(tmp_path / "in"), tmp_path / f"out{suffix}"
    restore(source, target, codec=codec)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


def test_a_pixel_aspect_that_matroska_does_not_store_is_no_fault(tmp_path):
    source, target = clips.wide_pixels(tmp_path / "in"), tmp_path / "out.mkv"
    restore(source, target, codec="ffv1")
    (lost,) = [comparison for comparison in compare_videos(source, target) if not comparison.agrees]
    assert (lost.name, lost.is_fault) == ("pixel aspect", False)


def test_the_end_of_a_file_that_was_cut_off_is_reported(tmp_path):
    notes = restore(clips.truncated(tmp_path / "in"), tmp_path / "out.mp4").notes
    assert "ends at 0.080 s, expected 0.640 s by its header" in notes


def test_other_streams_alone_are_refused(write_video, tmp_path):
    path = tmp_path / "sound.m4a"
    with av.open(str(write_video(sound=1))) as clip, av.open(str(path), "w") as container:
        track = container.add_stream_from_template(clip.streams.audio[0])
        for packet in clip.demux(audio=0):
            if packet.size:
                packet.stream = track
                container.mux(packet)
    with pytest.raises(RefusedVideo, match="holds no video stream that can be decoded, only audio"):
        restore(path, tmp_path / "out.mp4")


def test_what_is_no_video_is_broken(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"not a video")
    with pytest.raises(BrokenVideo, match="cannot be read as a video"):
        restore(tmp_path / "in.mp4", tmp_path / "out.mp4")


def damage(path: Path) -> None:
    """Overwrite the middle of a file with noise, as a bad sector does."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)


@pytest.mark.parametrize("duration", [None, 0.3, 0.5, 1.2])
def test_uneven_times_are_no_difference_to_the_end(tmp_path, duration):
    source = clips.variable_rate(tmp_path / "in")
    restore(source, tmp_path / "out.mp4", duration=duration)
    comparisons = compare_videos(source, tmp_path / "out.mp4", VideoOptions(duration=duration))
    assert not [comparison for comparison in comparisons if not comparison.agrees]


def test_corrupt_frames_are_reported_and_upscaled_unless_strict(write_video, tmp_path):
    source, target = write_video(size=(96, 80), options={"g": "4"}), tmp_path / "out.mp4"
    damage(source)
    result = restore(source, target, TWICE)
    assert any("corrupt" in note for note in result.notes)
    assert times(target) == times(source)
    with pytest.raises(BrokenVideo, match="the option strict makes this an error"):
        restore(source, tmp_path / "strict.mkv", strict=True)


def test_a_file_that_was_cut_off_gives_the_frames_that_are_there(write_video, tmp_path):
    source, target = write_video("in.mkv", times=range(0, 40 * 512, 512)), tmp_path / "out.mkv"
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    restore(source, target)
    assert times(target) == times(source) != []


def test_a_change_of_size_is_refused_with_its_timestamp(write_video, tmp_path):
    first = write_video("first.ts", options={"preset": "ultrafast"})
    later = write_video(
        "later.ts", options={"preset": "ultrafast"}, size=(48, 32), times=range(12 * 512, 24 * 512, 512)
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + later.read_bytes())
    with pytest.raises(RefusedVideo, match=r"from 32 x 24 to 48 x 32 at \d\.\d{3} s, expected one size"):
        restore(both, tmp_path / "out.mp4")


def test_interlaced_videos_are_refused_or_deinterlaced(write_video, tmp_path):
    source = write_video("in.mkv", options={"flags": "+ildct+ilme", "x264-params": "tff=1"}, size=(64, 64))
    with pytest.raises(RefusedVideo, match="is interlaced, expected progressive frames or the option deinterlace"):
        restore(source, tmp_path / "out.mkv")
    restore(source, tmp_path / "out.mkv", deinterlace=True)
    assert times(tmp_path / "out.mkv") == times(source)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert not any(frame.interlaced_frame for frame in container.decode(video=0))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "came"),
    [("libsvtav1", "yuv444p", "yuv420p"), ("libx265", "yuv420p12le", "yuv420p12le"), ("libx264", "gray", "yuv420p")],
)
def test_planes_are_the_sources_or_the_nearest_that_the_encoder_takes(write_video, tmp_path, codec, pix_fmt, came):
    source, target = (
        write_video("in.mkv", codec="ffv1", pix_fmt=pix_fmt, size=(64, 64), times=[0, 512]),
        tmp_path / "out.mkv",
    )
    result = restore(source, target, codec=codec, preset="12" if codec == "libsvtav1" else "ultrafast")
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).format.name == came
    assert any(pix_fmt in note for note in result.notes) == (pix_fmt != came)
