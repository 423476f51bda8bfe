"""Tables of the verification of videos."""

from pathlib import Path

from pipeline.cli.verification import comparison_table
from pipeline.video.conformance import compare_videos
from tests.pipeline.video import clips
from tests.pipeline.video.remaking import names, remake


def test_all_comparisons_make_a_table(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")
    comparisons = compare_videos(source, remake(source, tmp_path / "result.mp4", scale=1), scale=1)
    assert comparison_table(comparisons).row_count == len(comparisons)
    assert {"frames", "start", "duration", "stream 1 (audio aac) offset from the video", "chapter 2 start"} <= names(
        comparisons
    )
