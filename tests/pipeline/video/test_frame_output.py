"""Frames as PNG files: complete, or absent."""

import cv2
import numpy as np
import pytest

from pipeline.video.conformance import compare_videos
from tests.pipeline.batch.video_batch import files, images, restore_batch, stop_at
from tests.pipeline.video import clips


@pytest.mark.parametrize(("pix_fmt", "dtype"), [("yuv444p", "uint8"), ("yuv444p10le", "uint16")])
def test_frames_are_also_written_as_images(write_video, tmp_path, pix_fmt, dtype):
    write_video("clip.mkv", codec="ffv1", pix_fmt=pix_fmt, times=[0, 512])
    restore_batch(tmp_path, "clip.mkv", frames_out=tmp_path / "frames")
    assert images(tmp_path / "frames") == ["clip/000001.png", "clip/000002.png"]
    assert cv2.imread(str(tmp_path / "frames/clip/000002.png"), cv2.IMREAD_UNCHANGED).dtype == dtype


def test_frames_of_a_turned_video_are_upright(tmp_path):
    source = clips.rotated(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, source.name, frames_out=tmp_path / "frames")
    assert (record.status, record.differs) == ("done", ())
    shown = cv2.imread(str(tmp_path / "frames/clip/000003.png"), cv2.IMREAD_GRAYSCALE)
    assert clips.number_in(cv2.rotate(shown, cv2.ROTATE_90_COUNTERCLOCKWISE)) == 2
    assert [one for one in compare_videos(source, tmp_path / "frames/clip") if not one.agrees] == []


def test_frames_of_a_tilted_video_are_said(tmp_path):
    clips.tilted(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, "clip.mp4", frames_out=tmp_path / "frames")
    assert [note for note in record.notes if "not upright" in note]


def test_frames_of_an_interrupted_run_do_not_count_as_complete(write_video, tmp_path):
    write_video("clip.mkv")
    frames = tmp_path / "frames"
    with pytest.raises(KeyboardInterrupt):
        restore_batch(tmp_path, "clip.mkv", frames_out=frames, segment=3, watch=stop_at(8))
    assert not (frames / "clip").exists()
    fresh = []
    restore_batch(
        tmp_path, "clip.mkv", frames_out=frames, segment=3, watch=lambda job, progress: fresh.append(progress.fresh)
    )
    assert max(fresh) == 6
    assert images(frames) == [f"clip/{number:06}.png" for number in range(1, 13)]
    assert restore_batch(tmp_path, "clip.mkv", frames_out=frames, segment=3)[0].status == "skipped"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda frame: frame.unlink(), "is incomplete: 11 frames, expected 12"),
        (lambda frame: cv2.imwrite(str(frame), np.zeros((8, 9, 3))), "9 x 8 pixels in 000003.png, expected 32 x 24"),
        (lambda frame: frame.write_bytes(b""), "is incomplete: no readable image in 000003.png"),
    ],
)
def test_damaged_frames_are_reported(write_video, tmp_path, damage, text):
    write_video("clip.mkv")

    def disturb(job, progress):
        if progress.fresh == 12:
            damage(tmp_path / "frames/.clip.partial/000003.png")

    (record,) = restore_batch(tmp_path, "clip.mkv", frames_out=tmp_path / "frames", watch=disturb)
    assert record.status == "failed"
    assert text in record.error
    assert restore_batch(tmp_path, "clip.mkv", frames_out=tmp_path / "frames")[0].status == "done"


def test_frames_of_an_earlier_run_are_replaced_and_foreign_files_are_not(write_video, tmp_path):
    write_video("clip.mkv")
    frames = tmp_path / "frames"
    assert restore_batch(tmp_path, "clip.mkv")[0].status == "done"
    assert restore_batch(tmp_path, "clip.mkv", frames_out=frames)[0].status == "done"
    assert len(images(frames)) == 12
    (frames / "clip/000012.png").write_bytes(b"")
    assert restore_batch(tmp_path, "clip.mkv", frames_out=frames, crf=20)[0].status == "done"
    assert (frames / "clip/000012.png").stat().st_size > 0
    (tmp_path / "others/clip").mkdir(parents=True)
    (tmp_path / "others/clip/mine.png").write_bytes(b"")
    (record,) = restore_batch(tmp_path, "clip.mkv", frames_out=tmp_path / "others")
    assert record.status == "refused"
    assert "was not written by an earlier run; move it away" in record.error
    assert files(tmp_path / "others") == {"clip/mine.png"}
