"""Folders of frames as videos."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import BrokenVideo
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.remaking import verify


def test_a_folder_of_frames_becomes_a_video(tmp_path):
    (tmp_path / "scan").mkdir()
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"scan/frame{number}.png"), np.full((16, 16, 3), number * 20, np.uint8))
    (record,) = restore_batch(tmp_path, "scan", fps="24000/1001", codec="libx264", crf=1, flicker=True)
    assert (record.status, record.output, record.frames, record.differs) == ("done", "scan.mp4", 3, ())
    assert record.flicker.keys() == {"source", "result"}
    with av.open(str(tmp_path / "out/scan.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == [number * Fraction(1001, 24000) for number in range(3)]
    assert all(first.to_ndarray().mean() < second.to_ndarray().mean() for first, second in pairwise(frames))


def test_frames_may_have_any_format_that_is_read(tmp_path):
    (tmp_path / "scan").mkdir()
    for number, suffix in enumerate((".png", ".bmp", ".ppm", ".jp2", ".jpe", ".pgm", ".dib")):
        encoding = {".jpe": ".jpg", ".dib": ".bmp"}.get(suffix, suffix)
        pixels = cv2.imencode(encoding, np.full((64, 64) if suffix == ".pgm" else (64, 64, 3), 100, np.uint8))[1]
        (tmp_path / f"scan/{number}{suffix}").write_bytes(pixels.tobytes())
    (record,) = restore_batch(tmp_path, "scan", fps="25")
    assert (record.status, record.frames, record.notes) == ("done", 7, ())


def test_missing_and_transparent_frames_of_a_folder_are_reported(tmp_path):
    (tmp_path / "scan").mkdir()
    for number in (1, 2, 3, 5, 6):
        cv2.imwrite(str(tmp_path / f"scan/{number}.png"), np.full((16, 16, 4), 100, np.uint8))
    (record,) = restore_batch(tmp_path, "scan", fps="25")
    gap = "frames are missing and were skipped between 3.png and 5.png"
    assert (record.status, record.frames) == ("done", 5)
    assert record.losses[0].startswith("the alpha channel is dropped")
    assert [loss for loss in record.losses if loss.startswith(gap)]
    (record,) = restore_batch(tmp_path, "scan", fps="24", strict=True)
    assert (record.status, record.error.startswith(gap)) == ("failed", True)


def test_an_invalid_frame_is_reported_by_its_name(tmp_path: Path) -> None:
    frames = clips.write_frames(tmp_path / "frames", range(3))
    clips.write_frames(tmp_path / "other", [3], (32, 24))
    (tmp_path / "other/000003.png").rename(frames / "000003.png")
    with pytest.raises(BrokenVideo, match=r"the result .*frames 000003.png has 32 x 24 pixels, expected 64 x 48"):
        verify(clips.wide_pixels(tmp_path / "clip"), frames)
    (frames / "000003.png").write_bytes((frames / "000002.png").read_bytes()[:-60])
    with pytest.raises(BrokenVideo, match=r"the result .*frames 000003.png "):
        verify(clips.wide_pixels(tmp_path / "clip"), frames)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BrokenVideo, match=r"the result .*empty contains no image files"):
        verify(clips.wide_pixels(tmp_path / "clip"), tmp_path / "empty")


def test_a_frame_of_another_size_is_found_before_the_work(tmp_path):
    frames = clips.write_frames(tmp_path / "frames", range(3))
    clips.write_frames(tmp_path / "other", [3], (32, 24))
    (tmp_path / "other/000003.png").rename(frames / "000003.png")
    seen = []
    (record,) = restore_batch(tmp_path, "frames", fps="25", watch=lambda job, progress: seen.append(progress.frames))
    assert (record.status, seen) == ("refused", [])
    assert record.error == "000003.png has 32 x 24 pixels, expected 64 x 48 as the first frame has"
