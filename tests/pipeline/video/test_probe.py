"""Properties that are guessed or dropped are reported."""

from types import SimpleNamespace

import av
import pytest

from pipeline.errors import RefusedVideo
from pipeline.video.damage import DAMAGED
from pipeline.video.probe import _first_frame
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


def test_a_dropped_alpha_channel_is_reported(tmp_path):
    (record,) = restore_batch(tmp_path, clips.transparent(tmp_path / "clip").name, preset="ultrafast")
    assert record.differs == ()
    assert "the alpha channel is dropped: videos are restored as opaque" in record.losses


def test_the_range_of_rgb_videos_is_no_difference(write_video, tmp_path):
    write_video("clip.mkv", codec="libx264rgb", pix_fmt="rgb24", options={"preset": "ultrafast"})
    (record,) = restore_batch(tmp_path, "clip.mkv", preset="ultrafast")
    assert (record.status, record.differs) == ("done", ())


class Unreadable:
    """A container whose first packet cannot be read."""

    format = SimpleNamespace(flags=0, name="mov,mp4")

    def __init__(self, error):
        self.error = error

    def demux(self, streams):
        yield from ()
        raise self.error(1, "broken")


@pytest.mark.parametrize("error", DAMAGED)
def test_a_container_without_a_readable_packet_is_refused(error):
    with pytest.raises(RefusedVideo, match="no frame that can be decoded"):
        _first_frame(Unreadable(error), None)


def test_errors_of_the_storage_are_no_damage():
    with pytest.raises(av.error.OSError):
        _first_frame(Unreadable(av.error.OSError), None)
