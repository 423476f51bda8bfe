"""Partial output of another job is not used."""

import pytest

from tests.pipeline.batch.video_batch import images, restore_batch, stop_at


def test_segments_of_another_chain_or_input_are_not_used(write_video, tmp_path):
    write_video("clip.mkv")
    partial = tmp_path / "out/.clip.mkv.partial"
    partial.mkdir(parents=True)
    (partial / ".job.json").write_text('"another"')
    (partial / "00000.mkv").write_bytes(b"stale")
    (partial / "00000.json").write_text("{}")
    assert restore_batch(tmp_path, "clip.mkv")[0].frames == 12


def test_segments_whose_frames_were_not_written_are_not_used(write_video, tmp_path):
    write_video("clip.mkv")
    with pytest.raises(KeyboardInterrupt):
        restore_batch(tmp_path, "clip.mkv", segment=3, watch=stop_at(8))
    (record,) = restore_batch(tmp_path, "clip.mkv", frames_out=tmp_path / "frames", segment=3)
    assert len(images(tmp_path / "frames")) == 12
    assert "discarded the partial output of another chain, other options or another input" in record.notes
