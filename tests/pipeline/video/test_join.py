"""Muxing: all other streams, chapters and metadata are copied."""

from fractions import Fraction

import av
import pytest

from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.restoring import TWICE, restore


def test_other_streams_and_metadata_are_copied(write_video, tmp_path):
    def describe(stream):
        stream.metadata["language"] = "deu"
        stream.set_display_rotation(90)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 16

    source, target = write_video("in.mp4", audio=2, prepare=describe), tmp_path / "out.mp4"
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


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mkv"), ("libx264", ".mp4"), ("ffv1", ".mp4")])
def test_the_pixel_aspect_is_kept(tmp_path, codec, suffix):
    source, target = clips.wide_pixels(tmp_path / "in"), tmp_path / f"out{suffix}"
    restore(source, target, codec=codec)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
def test_a_timecode_is_kept(tmp_path, container):
    clips.timecode(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, "clip.mov", preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    with av.open(str(tmp_path / f"out/clip.{container}")) as made:
        metadata = {key.lower(): text for key, text in made.streams.video[0].metadata.items()}
    assert metadata["timecode"] == "01:02:03:04"


@pytest.mark.parametrize("suffix", [".mov", ".flv"])
def test_a_place_with_fewer_decimals_is_no_loss(tmp_path, suffix):
    """MP4 stores degrees with four decimals, whatever the source had."""
    clips.located(tmp_path / f"clip{suffix}")
    (record,) = restore_batch(tmp_path, f"clip{suffix}", preset="ultrafast")
    assert (record.status, record.differs, record.losses) == ("done", (), ())


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_the_keys_of_phones_are_kept(tmp_path, container):
    keys = {"com.apple.quicktime.make": "Apple", "com.android.version": "14", "own": "mine"}
    options = {"movflags": "use_metadata_tags"}
    with (
        av.open(str(clips.wide_pixels(tmp_path / "in"))) as given,
        av.open(str(tmp_path / "clip.mov"), "w", options=options) as out,
    ):
        video = out.add_stream_from_template(given.streams.video[0])
        out.metadata.update(keys)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
    (record,) = restore_batch(tmp_path, "clip.mov", preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    with av.open(str(tmp_path / f"out/clip.{container}")) as made:
        assert keys.items() <= {key.lower(): text for key, text in made.metadata.items()}.items()


def test_what_cannot_be_written_is_found_before_the_work(write_video, tmp_path, monkeypatch):
    write_video("clip.mkv", audio=1)
    seen = []

    def fail(out, given, stream):
        raise av.error.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr("pipeline.video.join.add_copy", fail)
    (record,) = restore_batch(tmp_path, "clip.mkv", watch=lambda job, progress: seen.append(progress.frames))
    assert (record.status, seen) == ("failed", [])
    assert record.error == "cannot be written as .mkv: Invalid argument; mkv may support it"
