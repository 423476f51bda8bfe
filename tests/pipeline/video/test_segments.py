"""Interrupted runs are resumed from their complete segments."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import OutOfSpace
from pipeline.video.segments import _with_decoding_times, working_path
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
    full = working_path(full) if where == "00001.mkv" else full

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


def test_a_segment_that_another_process_is_writing_is_left_alone(write_video, tmp_path):
    write_video("clip.mkv")
    place, theirs = tmp_path / "out/.clip.mkv.partial/00001.mkv", []

    def write(job, progress):
        if progress.fresh == 4:
            theirs.append(place.open("wb"))  # as a worker on a machine that was given up would
        if progress.fresh == 5:
            theirs[0].write(b"half a segment")
            theirs[0].flush()

    (record,) = restore_batch(tmp_path, "clip.mkv", codec="ffv1", segment=3, watch=write)
    assert (record.status, record.frames, record.differs) == ("done", 12, ())


class _Packet:
    def __init__(self, pts: int, dts: int) -> None:
        self.pts, self.dts = pts, dts


@pytest.mark.parametrize("undefined", [-2429447594418053559, -65632, 2**40])
def test_undefined_decoding_times_are_mended_and_others_kept(undefined: int) -> None:
    packets: Any = [_Packet(0, undefined), _Packet(2, undefined + 1), _Packet(1, undefined + 2)]
    mended = [packet.dts for packet in _with_decoding_times(packets)]
    assert mended == sorted(mended)
    assert all(packet.dts <= packet.pts for packet in packets)
    kept: Any = [_Packet(0, -2), _Packet(3, -1), _Packet(1, 0)]
    assert [packet.dts for packet in _with_decoding_times(kept)] == [-2, -1, 0]
