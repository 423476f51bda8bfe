"""Comparisons of single properties, and their lines."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.video.contents import Timestamps
from pipeline.video.property_comparison import PropertyComparison, compare_timestamps
from tests.pipeline.batch.video_batch import restore_batch
from tests.pipeline.video import clips
from tests.pipeline.video.remaking import remake, verify


def test_a_line_states_the_actual_and_the_expected_value(tmp_path: Path) -> None:
    source = clips.two_languages(tmp_path / "source")
    result = remake(source, tmp_path / "result.mp4", frames=lambda shown: shown[:2] + shown[3:])
    lines = {comparison.name: str(comparison) for comparison in verify(source, result, scale=2)}
    assert lines["frames"] == "frames: 7, expected 8"
    assert lines["timestamps"] == "timestamps: number 2 at 0.120000 s, expected 0.080000 s after the first"
    subtitle = lines["stream 3 (subtitle subrip)"]
    assert subtitle.endswith("missing, expected present; not supported by this container; mkv may store it")


def test_many_values_missing_for_one_reason_are_one_note(write_video, tmp_path, monkeypatch):
    write_video()
    names = ["stream 0 (main video) umid", "metadata a", "metadata b", "metadata c"]
    lost = [PropertyComparison(name, "A", "nothing", agrees=False, obstacle="not here") for name in names]
    other = PropertyComparison("duration", "1 s", "2 s", agrees=False, obstacle="not here")
    monkeypatch.setattr("pipeline.batch.video_jobs.compare_videos", lambda *files, **options: [*lost, other])
    (record,) = restore_batch(tmp_path, "clip.mp4", preset="ultrafast")
    expected = "4 values are missing (stream 0 (main video) umid, a, b, c); not here"
    assert (record.notes[-1], record.losses[-1]) == ("duration: 2 s, expected 1 s; not here", expected)


def ntsc_ticks(ticks_per_second: int) -> Iterator[int]:
    return (round(Fraction(1001 * number, 30000) * ticks_per_second) for number in range(300))


@pytest.mark.parametrize("ticks_per_second", [1000, 600, 90000, 30000])
def test_timestamps_may_differ_by_the_resolution_of_the_time_base(ticks_per_second: int) -> None:
    source = Timestamps(Fraction(1, 30000), tuple(ntsc_ticks(30000)))
    result = Timestamps(Fraction(1, ticks_per_second), tuple(ntsc_ticks(ticks_per_second)))
    assert compare_timestamps("timestamps", source, result).agrees
    wrong = list(result.ticks)
    wrong[100] += 2
    assert not compare_timestamps("timestamps", source, replace(result, ticks=tuple(wrong))).agrees


def test_timestamps_that_the_time_base_represents_must_be_exact() -> None:
    source = Timestamps(Fraction(1, 1000), (0, 40, 80))
    assert compare_timestamps("timestamps", source, Timestamps(Fraction(1, 16000), (0, 640, 1280))).agrees
    assert not compare_timestamps("timestamps", source, Timestamps(Fraction(1, 16000), (0, 641, 1280))).agrees
