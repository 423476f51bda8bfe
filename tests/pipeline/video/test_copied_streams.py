"""Streams beside the video: copied where the container can hold them, and reported where not."""

import io
from fractions import Fraction

import av
import pytest

from pipeline.video.conformance import compare_videos
from pipeline.video.copied_streams import _delay
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.restoring import restore


@pytest.mark.parametrize("clip", [clips.cover, clips.cover_attached])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_covers_are_kept(tmp_path, clip, container):
    source = clip(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    with av.open(str(source)) as given, av.open(str(tmp_path / f"out/clip.{container}")) as made:
        first, second = ([bytes(packet) for packet in file.demux(video=1)] for file in (given, made))
        assert first == second
        assert made.streams.video[1].disposition & av.stream.Disposition.attached_pic


def test_subtitles_that_a_container_does_not_support_are_reported(write_video, tmp_path):
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
    assert not restore(source, tmp_path / "out.mkv").losses
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [bytes(packet) for packet in container.demux(subtitles=0) if packet.size] == [b"Hello"]
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]
    restore(source, tmp_path / "out.mp4")
    lost = [str(comparison) for comparison in compare_videos(source, tmp_path / "out.mp4") if not comparison.agrees]
    assert lost == [
        "stream 1 (subtitle subrip): missing, expected present; not supported by this container; mkv may store it"
    ]


def test_packets_whose_times_go_back_are_delayed():
    decoded: dict[int, int] = {}
    with av.open(io.BytesIO(), "w", format="matroska") as out:
        stream = out.add_stream("aac", rate=48000)
        times = []
        for dts, pts in ((0, 0), (5, 6), (3, 4), (3, None), (9, 9)):
            packet = av.Packet(b"sound")
            packet.dts, packet.pts, packet.stream = dts, pts, stream
            _delay(packet, decoded)
            times.append((packet.dts, packet.pts))
    assert times == [(0, 0), (5, 6), (6, 6), (7, None), (9, 9)]
