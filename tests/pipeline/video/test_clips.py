"""The synthetic clips have the properties they claim, and their frames can be identified."""

from collections.abc import Callable
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.inventory import read_contents
from tests.pipeline.video import clips

NAME = attrgetter("__name__")


@pytest.mark.parametrize("clip", [*clips.WITH_FRAMES, *clips.WITHOUT_FRAMES], ids=NAME)
def test_clips_are_small(clip: Callable[[Path], Path], tmp_path: Path) -> None:
    assert 0 < clip(tmp_path / "clip").stat().st_size < 40_000


@pytest.mark.parametrize("clip", [clip for clip in clips.WITH_FRAMES if clip is not clips.truncated], ids=NAME)
def test_frames_are_numbered_in_display_order(clip: Callable[[Path], Path], tmp_path: Path) -> None:
    path = clip(tmp_path / "clip")
    numbers, times = clips.numbers_of(path), clips.times_of(path)
    assert numbers == list(range(numbers[0], numbers[0] + len(times)))
    assert times == sorted(set(times))


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("number", [0, 1, 37, 170, 255])
def test_a_number_is_read_at_any_size(number: int, scale: int) -> None:
    luma = clips.numbered_frame(number, (64, 48), "yuv420p10le").reformat(64 * scale, 48 * scale, "gray").to_ndarray()
    assert clips.number_in(luma) == number


def test_a_frame_without_a_number_is_reported() -> None:
    with pytest.raises(ValueError, match="no number in a frame"):
        clips.number_in(np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8))


def test_variable_rate_keeps_every_time(tmp_path: Path) -> None:
    gaps = np.diff(clips.times_of(clips.variable_rate(tmp_path / "clip")))
    assert len(set(gaps)) == len(gaps)


def test_b_frames_are_stored_in_coded_order(tmp_path: Path) -> None:
    with av.open(str(clips.b_frames(tmp_path / "clip"))) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert stored != sorted(stored)


def test_hdr10_states_its_metadata(tmp_path: Path) -> None:
    path = clips.hdr10(tmp_path / "clip")
    facts = read_contents(path).video.tags
    tags = [facts[f"colour {name}"] for name in ("matrix", "primaries", "transfer", "range")]
    assert tags == [(9,), (9,), (16,), (1,)]
    assert facts["mastering display"][-2:] == (0.0001, 1000)
    assert facts["content light"] == (1000, 400)


def test_two_languages_has_all_kinds_of_streams(tmp_path: Path) -> None:
    header = read_contents(clips.two_languages(tmp_path / "clip")).header
    assert [track.kind for track in header.tracks] == ["main video", "audio", "audio", "subtitle", "attachment"]
    assert [track.language for track in header.tracks] == ["eng", "eng", "ger", "fre", None]
    assert [chapter.title for chapter in header.chapters] == ["One", "Two"]


def test_rotated_has_a_display_matrix(tmp_path: Path) -> None:
    assert read_contents(clips.rotated(tmp_path / "clip")).video.rotation == "-90 degrees"


def test_offsets_of_video_and_audio(tmp_path: Path) -> None:
    late, start = read_contents(clips.late_video(tmp_path / "a")), read_contents(clips.late_start(tmp_path / "b"))
    assert late.video.timestamps.start - late.header.tracks[1].timestamps.start >= Fraction(48, 100)
    assert start.video.timestamps.start == 10


def test_an_edit_list_hides_the_first_frames(tmp_path: Path) -> None:
    path = clips.edit_list(tmp_path / "clip")
    assert clips.numbers_of(path) == list(range(3, 11))
    with av.open(str(path)) as container:
        assert sum(bool(packet.size) for packet in container.demux(video=0)) == 11


def test_shapes_and_ranges(tmp_path: Path) -> None:
    assert read_contents(clips.odd_size(tmp_path / "a")).video.size == (321, 179)
    assert read_contents(clips.wide_pixels(tmp_path / "b")).video.aspect == Fraction(64, 45)
    assert read_contents(clips.full_range(tmp_path / "c")).video.tags["colour range"] == (2,)


def test_interlaced_is_flagged(tmp_path: Path) -> None:
    with av.open(str(clips.interlaced(tmp_path / "clip"))) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))


def test_truncated_ends_after_some_frames(tmp_path: Path) -> None:
    path = clips.truncated(tmp_path / "clip")
    assert 0 < len(read_contents(path).video.timestamps.ticks) < 16
    with av.open(str(path)) as container, pytest.raises(av.error.InvalidDataError):
        list(container.decode(video=0))
