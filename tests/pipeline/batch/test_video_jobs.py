"""Videos in a batch: next to photos, skipped if finished, resumed if interrupted, from folders of frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.video.property_comparison import PropertyComparison
from tests.pipeline.batch.video_batch import files, restore_batch, stop_at
from tests.pipeline.video import clips


def test_a_folder_may_hold_photos_and_videos(write_video, tmp_path):
    write_video()
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((8, 8, 3), np.uint8))
    records = restore_batch(tmp_path, "")
    assert {Path(record.input).name: record.status for record in records} == {"clip.mp4": "done", "photo.png": "done"}
    assert files(tmp_path / "out") == {"clip.mp4", "photo.png", "restoration.jsonl"}
    record = next(record for record in records if record.frames)
    assert (record.frames, record.input_size, record.output_size) == (12, (32, 24), (32, 24))
    assert record.waiting.keys() == {"decode", "compute", "encode"}
    assert record.backends.keys() == record.stage_seconds.keys()
    assert [record.status for record in restore_batch(tmp_path, "")] == ["skipped", "skipped"]
    assert [record.status for record in restore_batch(tmp_path, "clip.mp4", crf=20)] == ["done"]


def test_a_video_that_cannot_be_restored_is_reported(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"")
    (record,) = restore_batch(tmp_path, "clip.mp4")
    assert (record.status, record.error) == (
        "failed",
        "is empty",
    )
    assert record.reason == "cut off"


def test_what_differs_from_the_source_is_recorded_and_remembered(write_video, tmp_path, monkeypatch):
    write_video()
    fault, excused = (
        PropertyComparison("frames", "12", "11", False),
        PropertyComparison("metadata artist", "A", "nothing", False, "not here"),
    )
    monkeypatch.setattr("pipeline.batch.video_jobs.compare_videos", lambda *files, **options: [fault, excused])
    (record,) = restore_batch(tmp_path, "clip.mp4")
    assert (record.status, record.differs) == ("done", ("frames: 11, expected 12",))
    assert "metadata artist: nothing, expected A; not here" in record.losses
    (record,) = restore_batch(tmp_path, "clip.mp4")
    assert (record.status, record.differs) == ("skipped", ("frames: 11, expected 12",))


def test_a_preview_does_not_replace_the_whole_video(write_video, tmp_path):
    write_video("clip.mkv")
    with pytest.raises(KeyboardInterrupt):
        restore_batch(tmp_path, "clip.mkv", segment=3, watch=stop_at(8))
    (preview,) = restore_batch(tmp_path, "clip.mkv", start=0.12, duration=0.2)
    assert (preview.status, preview.output) == ("done", "clip_from_0.12s_for_0.2s.mkv")
    (record,) = restore_batch(tmp_path, "clip.mkv", segment=3)
    assert "resumed an interrupted run after its first 6 frames" in record.notes
    assert restore_batch(tmp_path, "clip.mkv", duration=0.2)[0].output == "clip_for_0.2s.mkv"
    assert restore_batch(tmp_path, "clip.mkv", segment=3)[0].status == "skipped"


def test_flicker_is_recorded_beside_that_of_the_reference(tmp_path):
    clips.wide_pixels(tmp_path / "clip")
    assert restore_batch(tmp_path, "clip.mp4", flicker=True)[0].flicker.keys() == {"source", "result"}
    (tmp_path / "clean").mkdir()
    references = ReferenceComparison(tmp_path / "clean")
    (record,) = restore_batch(tmp_path, "clip.mp4", references=references)
    assert (record.status, record.flicker) == ("skipped", {})
    assert record.quality.error.startswith("no reference, expected ")
    clips.wide_pixels(tmp_path / "clean/clip")
    (record,) = restore_batch(tmp_path, "clip.mp4", references=references)
    assert record.flicker["reference"] == record.flicker["source"] != record.flicker["result"]
    assert record.quality is None


def test_flicker_that_cannot_be_measured_is_reported(tmp_path):
    clips.one_frame(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, "clip.mp4", flicker=True)
    assert record.status == "done"
    assert record.quality.error.startswith("flicker: the motion between no two frames")


def test_frames_of_two_videos_do_not_share_a_folder(write_video, tmp_path):
    write_video("clip.mkv")
    write_video("clip.mp4")
    with pytest.raises(ConfigError, match=r"frames of .*clip.mkv and .*clip.mp4 would both go to"):
        restore_batch(tmp_path, "", frames_out=tmp_path / "frames")
    assert len(restore_batch(tmp_path, "")) == 2


@pytest.mark.parametrize("name", ["clip.mod", "clip.tod", "clip.m2v"])
def test_videos_of_camcorders_are_read_by_their_suffix(name, tmp_path):
    clips.camcorder(tmp_path / name)
    (record,) = restore_batch(tmp_path, name, preset="ultrafast")
    assert (record.status, record.differs, record.output) == ("done", (), "clip.mp4")
