"""Opening video files and finding their main stream."""

import sys
from pathlib import Path

import av
import pytest

from pipeline.errors import BrokenVideo, RefusedVideo
from tests.pipeline.video.restoring import restore, times


@pytest.mark.skipif(sys.platform == "win32", reason="no file has a colon in its name there")
def test_a_name_is_not_taken_for_a_protocol(write_video, tmp_path, monkeypatch):
    write_video("10:30.mkv")
    monkeypatch.chdir(tmp_path)
    restore(Path("10:30.mkv"), Path("11:00.mp4"))
    assert len(times(Path("./11:00.mp4").absolute())) == 12


def test_other_streams_alone_are_refused(write_video, tmp_path):
    path = tmp_path / "audio.m4a"
    with av.open(str(write_video(audio=1))) as clip, av.open(str(path), "w") as container:
        track = container.add_stream_from_template(clip.streams.audio[0])
        for packet in clip.demux(audio=0):
            if packet.size:
                packet.stream = track
                container.mux(packet)
    with pytest.raises(RefusedVideo, match="holds no video stream that can be decoded, only audio"):
        restore(path, tmp_path / "out.mp4")


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"not a video")
    with pytest.raises(BrokenVideo, match="cannot be read as a video"):
        restore(tmp_path / "in.mp4", tmp_path / "out.mp4")


def test_a_list_of_other_videos_is_refused(write_video, tmp_path):
    write_video("other.mp4")
    (tmp_path / "in.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(RefusedVideo, match="is refused for safety"):
        restore(tmp_path / "in.mp4", tmp_path / "out.mp4")


def test_a_list_of_other_files_is_refused_for_safety(tmp_path):
    (tmp_path / "in.ts").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(RefusedVideo, match="is refused for safety: it is a list of other files") as caught:
        restore(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert caught.value.reason == "unsafe"


def test_a_recording_without_its_index_is_called_cut_off(write_video, tmp_path):
    source = write_video("in.mp4")
    source.write_bytes(source.read_bytes()[:1500])
    with pytest.raises(BrokenVideo, match="is cut off: its index is missing") as caught:
        restore(source, tmp_path / "out.mp4")
    assert caught.value.reason == "cut off"
