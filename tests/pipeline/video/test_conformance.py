"""A faithful result passes; everything lost, shifted or changed is reported by its name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
from av.stream import Disposition

from pipeline.errors import BrokenVideo
from pipeline.video.conformance import as_table, compare_videos
from pipeline.video.contents import Timestamps
from pipeline.video.options import VideoOptions
from pipeline.video.property_comparison import PropertyComparison, compare_timestamps
from tests.pipeline.video import clips

Clip = Callable[[Path], Path]
# So that Matroska does not shift negative timestamps, and that offsets in MP4 are finer than 1 ms.
EXACT = {".mkv": {"avoid_negative_ts": "disabled"}, ".mp4": {"movie_timescale": "90000"}}


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


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("clip", clips.WITH_FRAMES, ids=lambda clip: clip.__name__)
def test_a_faithful_result_passes(clip: Clip, suffix: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "source")
    result = remake(source, tmp_path / f"result{suffix}", codec=encoder_for(clip))
    assert [str(comparison) for comparison in verify(source, result, scale=2) if comparison.is_fault] == []


def test_every_fault_of_the_video_is_reported(tmp_path: Path) -> None:
    def fault(clip: Clip = clips.wide_pixels, **changes: Any) -> set[str]:
        source = clip(tmp_path / "source")
        return names(verify(source, remake(source, tmp_path / "result.mkv", **changes), scale=2))

    def other_times(shown: list[Any]) -> list[Any]:
        shown[3].pts += 20
        return shown

    def later(shown: list[Any]) -> list[Any]:
        for frame in shown:
            frame.pts += 512
        return shown

    def untagged(out: Any, video: Any) -> None:
        video.codec_context.colorspace, video.codec_context.color_trc = 2, 1

    assert fault(frames=lambda shown: shown[:-1]) == {"frames", "duration"}
    assert fault(frames=lambda shown: shown[:4] + shown[5:]) == {"frames", "timestamps"}
    assert fault(frames=other_times) == {"timestamps"}
    assert fault(frames=later) == {"start"}
    assert fault(scale=3) == {"size"}
    assert fault(change=lambda out, video: setattr(video.codec_context, "sample_aspect_ratio", 2)) == {"pixel aspect"}
    assert fault(clips.rotated, change=lambda out, video: video.set_display_matrix(None)) == {"rotation"}
    assert fault(clips.hdr10) == {"mastering display", "content light"}
    assert fault(change=untagged) == {"colour matrix", "colour transfer"}


def test_every_fault_beside_the_video_is_reported(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")

    def fault(**changes: Any) -> set[str]:
        found = verify(source, remake(source, tmp_path / "result.mkv", **changes), scale=2)
        assert all(comparison.is_fault for comparison in found)
        return names(found)

    def moved(copies: list[Any]) -> list[Any]:
        for packet in copies:
            if packet.stream.index == 1:
                packet.pts, packet.dts = packet.pts + 40, packet.dts + 40
        return copies

    def longer(copies: list[Any]) -> list[Any]:
        next(packet for packet in copies if packet.stream.index == 3).duration += 10
        return copies

    def changed_metadata(out: Any, video: Any) -> None:
        out.streams[1].metadata["language"] = "ita"
        out.streams[2].disposition = Disposition(0)
        del out.metadata["title"]
        out.set_chapters(out.chapters()[:1])

    aac, flac, srt = "stream 1 (audio aac)", "stream 2 (audio flac)", "stream 3 (subtitle subrip)"
    assert fault() == set()
    assert fault(packets=moved) == {f"{aac} offset from the video"}
    assert fault(packets=lambda copies: copies[:-1]) == {f"{aac} bytes", f"{aac} packets"}
    assert fault(packets=longer) == {f"{srt} timestamps"}
    assert fault(streams=lambda all_of_them: all_of_them[:-1]) == {"stream 4 (attachment)"}
    assert fault(streams=lambda own: [own[0], own[2], own[1], *own[3:]]) == {"order of streams"}
    assert fault(change=changed_metadata) == {f"{aac} language", f"{flac} comment", "metadata title", "chapters"}
    assert fault(change=lambda out, video: out.add_attachment("b.ttf", "font/ttf", b"more")) == {
        "stream 5 (attachment) of the result"
    }


def test_what_a_container_cannot_store_is_no_fault(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")

    def fault(**changes: Any) -> dict[str, bool]:
        found = verify(source, remake(source, tmp_path / "result.mp4", **changes))
        return {comparison.name: comparison.is_fault for comparison in found}

    lost = {"stream 3 (subtitle subrip)": False, "stream 4 (attachment)": False, "metadata director": False}
    assert fault() == lost
    assert fault(streams=lambda own: [own[0], own[1]]) == lost | {"stream 2 (audio flac)": True}
    assert fault(change=lambda out, video: out.set_chapters([])) == lost | {"chapters": True}


def test_a_line_says_what_came_and_what_was_expected(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")
    result = remake(source, tmp_path / "result.mp4", frames=lambda shown: shown[:2] + shown[3:])
    lines = {comparison.name: str(comparison) for comparison in verify(source, result, scale=2)}
    assert lines["frames"] == "frames: 7, expected 8"
    assert lines["timestamps"] == "timestamps: number 2 at 0.120000 s, expected 0.080000 s after the first"
    assert lines["metadata director"].endswith("expected nobody; not supported by this container; mkv may store it")


def test_any_whole_scale_is_taken_where_none_is_given(tmp_path: Path) -> None:
    source = clips.wide_pixels(tmp_path / "source")
    result = remake(source, tmp_path / "result.mkv", scale=3)
    assert verify(source, result) == []
    assert names(verify(source, result, scale=2)) == {"size"}


def test_all_figures_make_a_table(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")
    comparisons = compare_videos(source, remake(source, tmp_path / "result.mp4", scale=1), scale=1)
    assert as_table(comparisons).row_count == len(comparisons)
    assert {"frames", "start", "duration", "stream 1 (audio aac) offset from the video", "chapter 2 start"} <= names(
        comparisons
    )


@pytest.mark.parametrize("clip", clips.WITHOUT_FRAMES, ids=lambda clip: clip.__name__)
def test_a_video_without_frames_cannot_be_compared(clip: Clip, tmp_path: Path) -> None:
    broken, whole = clip(tmp_path / "broken"), clips.one_frame(tmp_path / "whole")
    with pytest.raises(BrokenVideo, match=rf"the source {broken} holds no "):
        verify(broken, whole)
    with pytest.raises(BrokenVideo, match=rf"the result {broken} holds no "):
        verify(whole, broken)


def test_what_is_no_video_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BrokenVideo, match=r"the source .*text\.mp4 cannot be read as a video: "):
        verify(tmp_path / "text.mp4", clips.one_frame(tmp_path / "whole"))


def write_frames(folder: Path, numbers: Iterable[int], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir()
    for number in numbers:
        luma = clips.numbered_frame(number, size, "yuv420p").reformat(format="gray").to_ndarray()
        cv2.imwrite(str(folder / f"{number:06}.png"), luma)
    return folder


def test_a_folder_of_frames_is_compared_by_the_times_it_was_given(tmp_path: Path) -> None:
    frames, video = write_frames(tmp_path / "frames", range(12)), clips.b_frames(tmp_path / "clip")
    assert [
        str(comparison) for comparison in compare_videos(frames, video, VideoOptions(fps="25")) if not comparison.agrees
    ] == []
    assert "timestamps" in names([one for one in compare_videos(frames, video, VideoOptions(fps="24")) if one.is_fault])
    part = compare_videos(frames, video, VideoOptions(fps="25", duration=0.2))
    assert str(part[0]) == "frames: 12, expected 5"


def test_a_folder_of_frames_as_a_result_is_compared_by_number_size_and_order(tmp_path: Path) -> None:
    video, large = clips.wide_pixels(tmp_path / "clip"), (128, 96)
    assert verify(video, write_frames(tmp_path / "all", range(1, 9), large), scale=2) == []
    assert names(verify(video, write_frames(tmp_path / "small", range(1, 9)), scale=2)) == {"size"}
    assert names(verify(video, write_frames(tmp_path / "short", range(1, 8), large))) == {"frames"}
    (gap,) = verify(video, write_frames(tmp_path / "gap", [1, 2, 3, 5, 6, 7, 8, 9], large))
    assert str(gap) == "frame numbers: 000005.png, expected 4 after 000003.png"


def test_an_invalid_frame_is_reported_by_its_name(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", range(3))
    write_frames(tmp_path / "other", [3], (32, 24))
    (tmp_path / "other/000003.png").rename(frames / "000003.png")
    with pytest.raises(BrokenVideo, match=r"the result .*frames 000003.png has 32 x 24 pixels, expected 64 x 48"):
        verify(clips.wide_pixels(tmp_path / "clip"), frames)
    (frames / "000003.png").write_bytes((frames / "000002.png").read_bytes()[:-60])
    with pytest.raises(BrokenVideo, match=r"the result .*frames 000003.png "):
        verify(clips.wide_pixels(tmp_path / "clip"), frames)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BrokenVideo, match=r"the result .*empty contains no image files"):
        verify(clips.wide_pixels(tmp_path / "clip"), tmp_path / "empty")


def ntsc_ticks(ticks_per_second: int) -> Iterator[int]:
    return (round(Fraction(1001 * number, 30000) * ticks_per_second) for number in range(300))


@pytest.mark.parametrize("ticks_per_second", [1000, 600, 90000, 30000])
def test_timestamps_may_differ_by_the_resolution_of_the_time_base(ticks_per_second: int) -> None:
    source = Timestamps(Fraction(1, 30000), tuple(ntsc_ticks(30000)))
    result = Timestamps(Fraction(1, ticks_per_second), tuple(ntsc_ticks(ticks_per_second)))
    assert compare_timestamps("timestamps", source, result).agrees
    wrong = list(result.ticks)
    wrong[100] += 2
    assert not compare_timestamps("timestamps", source, replace(result, ticks=tuple(wrong))).agrees


def test_timestamps_that_the_time_base_represents_must_be_exact() -> None:
    source = Timestamps(Fraction(1, 1000), (0, 40, 80))
    assert compare_timestamps("timestamps", source, Timestamps(Fraction(1, 16000), (0, 640, 1280))).agrees
    assert not compare_timestamps("timestamps", source, Timestamps(Fraction(1, 16000), (0, 641, 1280))).agrees
