"""Projection, views and Dolby Vision, which MP4 stores in the sample entry of the video."""

import av
import pytest

from pipeline.video.frame_facts import SPHERICAL, STEREO, facts_of_stream
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips


def facts(path):
    with av.open(str(path)) as container:
        return facts_of_stream(next(container.decode(video=0)))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_projection_and_views_are_carried(tmp_path, suffix, container):
    source = clips.with_boxes(tmp_path / f"clip{suffix}", *clips.SPHERE)
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    made = facts(tmp_path / f"out/clip.{container}")
    assert made.keys() == {SPHERICAL, STEREO}
    assert made == facts(source)


def test_views_that_a_container_does_not_store_are_named(tmp_path):
    source = clips.with_boxes(tmp_path / "clip.mp4", *clips.SPHERE)
    (record,) = restore_batch(tmp_path, source.name, preset="ultrafast", container="mov")
    assert [note for note in record.losses if note.startswith(STEREO) and "mp4 stores it" in note]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_dolby_vision_without_a_base_layer_is_refused(tmp_path, suffix):
    clips.with_boxes(tmp_path / f"clip{suffix}", clips.dolby_vision(5, 0), clip=clips.hdr10)
    (record,) = restore_batch(tmp_path, f"clip{suffix}", preset="ultrafast")
    assert (record.status, record.error[:29]) == ("refused", "is Dolby Vision (profile 5) w")


def test_dolby_vision_with_a_base_layer_is_restored_and_named(tmp_path):
    clips.with_boxes(tmp_path / "clip.mp4", clips.dolby_vision(8, 1), clip=clips.hdr10)
    (record,) = restore_batch(tmp_path, "clip.mp4", preset="ultrafast")
    assert (record.status, record.differs) == ("done", ())
    assert [note for note in record.losses if note.startswith("Dolby Vision: nothing, expected profile 8; not carried")]
