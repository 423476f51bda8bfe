"""Properties that are guessed or dropped are reported."""

from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


def test_a_dropped_alpha_channel_is_reported(tmp_path):
    (record,) = restore_batch(tmp_path, clips.transparent(tmp_path / "clip").name, preset="ultrafast")
    assert record.differs == ()
    assert "the alpha channel is dropped: videos are restored as opaque" in record.notes


def test_the_range_of_rgb_videos_is_no_difference(write_video, tmp_path):
    write_video("clip.mkv", codec="libx264rgb", pix_fmt="rgb24", options={"preset": "ultrafast"})
    (record,) = restore_batch(tmp_path, "clip.mkv", preset="ultrafast")
    assert (record.status, record.differs) == ("done", ())
