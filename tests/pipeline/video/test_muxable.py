"""What a codec or container does not support is no fault."""

from pathlib import Path
from typing import Any

from pipeline.video.conformance import compare_videos
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.remaking import remake, verify
from tests.pipeline.video.restoring import restore


def test_what_a_container_cannot_store_is_no_fault(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")

    def fault(**changes: Any) -> dict[str, bool]:
        found = verify(source, remake(source, tmp_path / "result.mp4", **changes))
        return {comparison.name: comparison.is_fault for comparison in found}

    lost = {"stream 3 (subtitle subrip)": False, "stream 4 (attachment)": False}
    assert fault() == lost
    assert fault(streams=lambda own: [own[0], own[1]]) == lost | {"stream 2 (audio flac)": True}
    assert fault(change=lambda out, video: out.set_chapters([])) == lost | {"chapters": True}


def test_a_pixel_aspect_that_matroska_does_not_store_is_no_fault(tmp_path):
    source, target = clips.wide_pixels(tmp_path / "in"), tmp_path / "out.mkv"
    restore(source, target, codec="ffv1")
    (lost,) = [comparison for comparison in compare_videos(source, target) if not comparison.agrees]
    assert (lost.name, lost.is_fault) == ("pixel aspect", False)


def test_audio_that_starts_before_0_is_no_difference_in_matroska(tmp_path):
    clips.rotated(tmp_path / "clip")
    (record,) = restore_batch(tmp_path, "clip.mp4", preset="ultrafast", container="mkv")
    assert (record.status, record.differs) == ("done", ())
    assert any(
        note.startswith("start: 0.021000 s, expected 0 s; Matroska has no negative timestamps") for note in record.notes
    )
