"""A faithful result passes; everything lost, shifted or changed is reported by its name."""

from pathlib import Path
from typing import Any

import pytest
from av.stream import Disposition

from pipeline.errors import BrokenVideo
from pipeline.video.conformance import compare_videos
from pipeline.video.options import VideoOptions
from tests.pipeline.video import clips
from tests.pipeline.video.remaking import Clip, encoder_for, names, remake, verify


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


def test_every_fault_of_other_streams_is_reported(tmp_path: Path) -> None:
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


def test_any_whole_scale_is_taken_where_none_is_given(tmp_path: Path) -> None:
    source = clips.wide_pixels(tmp_path / "source")
    result = remake(source, tmp_path / "result.mkv", scale=3)
    assert verify(source, result) == []
    assert names(verify(source, result, scale=2)) == {"size"}


@pytest.mark.parametrize("clip", clips.WITHOUT_FRAMES, ids=lambda clip: clip.__name__)
def test_a_video_without_frames_cannot_be_compared(clip: Clip, tmp_path: Path) -> None:
    broken, whole = clip(tmp_path / "broken"), clips.one_frame(tmp_path / "whole")
    with pytest.raises(BrokenVideo, match=rf"the source {broken} holds no "):
        verify(broken, whole)
    with pytest.raises(BrokenVideo, match=rf"the result {broken} holds no "):
        verify(whole, broken)


def test_a_file_that_is_no_video_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(BrokenVideo, match=r"the source .*text\.mp4 cannot be read as a video: "):
        verify(tmp_path / "text.mp4", clips.one_frame(tmp_path / "whole"))


def test_a_folder_of_frames_is_compared_at_its_frame_rate(tmp_path: Path) -> None:
    frames, video = clips.write_frames(tmp_path / "frames", range(12)), clips.b_frames(tmp_path / "clip")
    assert [
        str(comparison) for comparison in compare_videos(frames, video, VideoOptions(fps="25")) if not comparison.agrees
    ] == []
    assert "timestamps" in names([one for one in compare_videos(frames, video, VideoOptions(fps="24")) if one.is_fault])
    part = compare_videos(frames, video, VideoOptions(fps="25", duration=0.2))
    assert str(part[0]) == "frames: 12, expected 5"


def test_a_folder_of_frames_as_a_result_is_compared_by_number_size_and_order(tmp_path: Path) -> None:
    video, large = clips.wide_pixels(tmp_path / "clip"), (128, 96)
    assert verify(video, clips.write_frames(tmp_path / "all", range(1, 9), large), scale=2) == []
    assert names(verify(video, clips.write_frames(tmp_path / "small", range(1, 9)), scale=2)) == {"size"}
    assert names(verify(video, clips.write_frames(tmp_path / "short", range(1, 8), large))) == {"frames"}
    (gap,) = verify(video, clips.write_frames(tmp_path / "gap", [1, 2, 3, 5, 6, 7, 8, 9], large))
    assert str(gap) == "frame numbers: 000005.png, expected 4 after 000003.png"
