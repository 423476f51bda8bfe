"""Interrupted runs are resumed from their complete segments."""

from pathlib import Path

import pytest

from pipeline.errors import OutOfSpace
from tests.pipeline.batch.video_batch import files, packets, restore_batch, stop_at


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_resumed_video_equals_an_uninterrupted_one(write_video, tmp_path, codec):
    write_video("clip.mkv", options={"bf": "2"})
    restore_batch(tmp_path, "clip.mkv", codec=codec, segment=3)
    whole = packets(tmp_path / "out/clip.mkv")
    (tmp_path / "out/clip.mkv").unlink()
    with pytest.raises(KeyboardInterrupt):
        restore_batch(tmp_path, "clip.mkv", codec=codec, segment=3, watch=stop_at(8))
    fresh = []
    (record,) = restore_batch(
        tmp_path, "clip.mkv", codec=codec, segment=3, watch=lambda job, progress: fresh.append(progress.fresh)
    )
    assert max(fresh) == 6  # two segments of three frames were there
    assert "resumed an interrupted run after its first 6 frames" in record.notes
    assert packets(tmp_path / "out/clip.mkv") == whole
    assert files(tmp_path / "out") == {"clip.mkv", "restoration.jsonl"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("where", ["00001.mkv", "clip.mkv"])
def test_a_full_disk_ends_the_run_and_keeps_segments(write_video, tmp_path, where):
    write_video("clip.mkv")
    full = tmp_path / "out/.clip.mkv.partial" / where

    def fill(job, progress):
        if progress.fresh == 2:
            full.symlink_to("/dev/full")

    with pytest.raises(OutOfSpace, match="no space left on the disk"):
        restore_batch(tmp_path, "clip.mkv", codec="ffv1", segment=3, watch=fill)
    full.unlink()
    (record,) = restore_batch(tmp_path, "clip.mkv", codec="ffv1", segment=3)
    assert (record.status, record.frames) == ("done", 12)
    resumed = 3 if where == "00001.mkv" else 12
    assert f"resumed an interrupted run after its first {resumed} frames" in record.notes
