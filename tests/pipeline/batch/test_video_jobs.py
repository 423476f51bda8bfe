"""Videos in a batch: next to photos, skipped if finished, resumed if interrupted, from folders of frames."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.batch.batch import Batch
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.video_jobs import VideoJobs
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError, OutOfSpace
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.video.conformance import compare_videos
from pipeline.video.options import VideoOptions
from pipeline.video.property_comparison import PropertyComparison
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.video import clips

CHAIN = ChainConfig(stages=(UnsharpMaskConfig(strength=0.0),))


def restore(
    folder: Path,
    *inputs: str,
    watch: Callable = lambda job, progress: None,
    flicker: bool = False,
    references: ReferenceComparison | None = None,
    **options,
) -> list[Record]:
    """Restore inputs below a folder to ``folder/out``."""
    chosen = VideoOptions(**options)
    jobs = plan([str(folder / text) for text in inputs], folder / "out", video=chosen)
    report = RunLog(folder / "out/restoration.jsonl")
    engine = Engine(Chain.build(CHAIN), device="cpu")
    records: list[Record] = []
    try:
        Batch(
            CHAIN,
            folder / "out",
            report,
            lambda: engine,
            films=VideoJobs(chosen, flicker=flicker, references=references),
        ).run(jobs, records.append, watch)
    finally:
        report.close()
    return records


def packets(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def images(folder: Path) -> list[str]:
    return sorted(name for name in files(folder) if name.endswith(".png"))


def stop_at(frame: int) -> Callable:
    def stop(job, progress):
        if progress.fresh == frame:
            raise KeyboardInterrupt

    return stop


def test_a_folder_may_hold_photos_and_videos(write_video, tmp_path):
    write_video()
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((8, 8, 3), np.uint8))
    records = restore(tmp_path, "")
    assert {Path(record.input).name: record.status for record in records} == {"clip.mp4": "done", "photo.png": "done"}
    assert files(tmp_path / "out") == {"clip.mp4", "photo.png", "restoration.jsonl"}
    record = next(record for record in records if record.frames)
    assert (record.frames, record.input_size, record.output_size) == (12, (32, 24), (32, 24))
    assert record.waiting.keys() == {"decode", "compute", "encode"}
    assert record.backends.keys() == record.stage_seconds.keys()
    assert [record.status for record in restore(tmp_path, "")] == ["skipped", "skipped"]
    assert [record.status for record in restore(tmp_path, "clip.mp4", crf=20)] == ["done"]


def test_a_video_that_cannot_be_restored_is_reported(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"")
    (record,) = restore(tmp_path, "clip.mp4")
    assert (record.status, record.error) == (
        "failed",
        "cannot be read as a video: Invalid data found when processing input",
    )


def test_what_differs_from_the_source_is_recorded_and_remembered(write_video, tmp_path, monkeypatch):
    write_video()
    fault, excused = (
        PropertyComparison("frames", "12", "11", False),
        PropertyComparison("metadata artist", "A", "nothing", False, "not here"),
    )
    monkeypatch.setattr("pipeline.batch.video_jobs.compare_videos", lambda *files, **options: [fault, excused])
    (record,) = restore(tmp_path, "clip.mp4")
    assert (record.status, record.differs) == ("done", ("frames: 11, expected 12",))
    assert "metadata artist: nothing, expected A; not here" in record.notes
    (record,) = restore(tmp_path, "clip.mp4")
    assert (record.status, record.differs) == ("skipped", ("frames: 11, expected 12",))


def test_many_texts_that_a_container_cannot_hold_are_one_note(write_video, tmp_path, monkeypatch):
    write_video()
    names = ["stream 0 (main video) umid", "metadata a", "metadata b", "metadata c"]
    lost = [PropertyComparison(name, "A", "nothing", agrees=False, obstacle="not here") for name in names]
    other = PropertyComparison("duration", "1 s", "2 s", agrees=False, obstacle="not here")
    monkeypatch.setattr("pipeline.batch.video_jobs.compare_videos", lambda *files, **options: [*lost, other])
    (record,) = restore(tmp_path, "clip.mp4", preset="ultrafast")
    expected = "4 texts are missing (stream 0 (main video) umid, a, b, c); not here"
    assert record.notes[-2:] == ("duration: 2 s, expected 1 s; not here", expected)


@pytest.mark.parametrize("clip", [clips.two_languages, clips.late_video, clips.variable_rate, clips.edit_list])
@pytest.mark.parametrize("part", [{"start": 0.1}, {"duration": 0.2}, {"start": 0.08, "duration": 0.1}])
def test_a_preview_is_compared_with_its_part_of_the_source(tmp_path, clip, part):
    if clip is clips.late_video:
        part = {name: value + 0.5 for name, value in part.items()}
    source = clip(tmp_path / "clip")
    (record,) = restore(tmp_path, source.name, preset="ultrafast", **part)
    assert (record.status, record.differs) == ("done", ())
    assert record.frames < 8
    whole = compare_videos(source, tmp_path / "out" / str(record.output))
    assert "frames" in {comparison.name for comparison in whole if comparison.is_fault}


@pytest.mark.parametrize("clip", [clips.cover, clips.cover_attached])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_covers_are_kept(tmp_path, clip, container):
    source = clip(tmp_path / "clip")
    (record,) = restore(tmp_path, source.name, preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    with av.open(str(source)) as given, av.open(str(tmp_path / f"out/clip.{container}")) as made:
        first, second = ([bytes(packet) for packet in file.demux(video=1)] for file in (given, made))
        assert first == second
        assert made.streams.video[1].disposition & av.stream.Disposition.attached_pic


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
def test_a_timecode_is_kept(tmp_path, container):
    clips.timecode(tmp_path / "clip")
    (record,) = restore(tmp_path, "clip.mov", preset="ultrafast", container=container)
    assert (record.status, record.differs) == ("done", ())
    with av.open(str(tmp_path / f"out/clip.{container}")) as made:
        metadata = {key.lower(): text for key, text in made.streams.video[0].metadata.items()}
    assert metadata["timecode"] == "01:02:03:04"


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov"])
def test_the_timecode_of_a_preview_is_that_of_its_first_frame(tmp_path, container):
    clips.timecode(tmp_path / "clip")
    (record,) = restore(tmp_path, "clip.mov", preset="ultrafast", container=container, start=0.1)
    assert (record.status, record.frames, record.differs) == ("done", 5, ())
    assert not [note for note in record.notes if " bytes: " in note]
    with av.open(str(tmp_path / "out" / str(record.output))) as made:
        metadata = {key.lower(): text for key, text in made.streams.video[0].metadata.items()}
    assert metadata["timecode"] == "01:02:03:07"


def test_sound_that_begins_before_0_is_no_difference_in_matroska(tmp_path):
    clips.rotated(tmp_path / "clip")
    (record,) = restore(tmp_path, "clip.mp4", preset="ultrafast", container="mkv")
    assert (record.status, record.differs) == ("done", ())
    assert any(
        note.startswith("start: 0.021000 s, expected 0 s; Matroska has no negative timestamps") for note in record.notes
    )


def test_a_dropped_alpha_channel_is_reported(tmp_path):
    (record,) = restore(tmp_path, clips.transparent(tmp_path / "clip").name, preset="ultrafast")
    assert record.differs == ()
    assert "the alpha channel is dropped: videos are restored as opaque" in record.notes


def test_the_range_of_rgb_videos_is_no_difference(write_video, tmp_path):
    write_video("clip.mkv", codec="libx264rgb", pix_fmt="rgb24", options={"preset": "ultrafast"})
    (record,) = restore(tmp_path, "clip.mkv", preset="ultrafast")
    assert (record.status, record.differs) == ("done", ())


def test_a_preview_leaves_the_whole_video_alone(write_video, tmp_path):
    write_video("clip.mkv")
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path, "clip.mkv", segment=3, watch=stop_at(8))
    (preview,) = restore(tmp_path, "clip.mkv", start=0.12, duration=0.2)
    assert (preview.status, preview.output) == ("done", "clip_from_0.12s_for_0.2s.mkv")
    (record,) = restore(tmp_path, "clip.mkv", segment=3)
    assert "resumed an interrupted run after its first 6 frames" in record.notes
    assert restore(tmp_path, "clip.mkv", duration=0.2)[0].output == "clip_for_0.2s.mkv"
    assert restore(tmp_path, "clip.mkv", segment=3)[0].status == "skipped"


def test_hdr_that_a_codec_does_not_carry_is_reported(tmp_path):
    (record,) = restore(tmp_path, clips.hdr10(tmp_path / "clip").name, codec="ffv1")
    assert (record.status, record.differs) == ("done", ())
    assert any(note.startswith("content light: ") and note.endswith("ffv1 does not store it") for note in record.notes)


def test_flicker_is_recorded_beside_that_of_the_reference(tmp_path):
    clips.wide_pixels(tmp_path / "clip")
    assert restore(tmp_path, "clip.mp4", flicker=True)[0].flicker.keys() == {"source", "result"}
    (tmp_path / "clean").mkdir()
    references = ReferenceComparison(tmp_path / "clean")
    (record,) = restore(tmp_path, "clip.mp4", references=references)
    assert (record.status, record.flicker) == ("skipped", {})
    assert record.quality.error.startswith("no reference, expected ")
    clips.wide_pixels(tmp_path / "clean/clip")
    (record,) = restore(tmp_path, "clip.mp4", references=references)
    assert record.flicker["reference"] == record.flicker["source"] != record.flicker["result"]
    assert record.quality is None


def test_flicker_that_cannot_be_measured_is_reported(tmp_path):
    clips.one_frame(tmp_path / "clip")
    (record,) = restore(tmp_path, "clip.mp4", flicker=True)
    assert record.status == "done"
    assert record.quality.error.startswith("flicker: the motion between no two frames")


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_stopped_video_goes_on_and_is_the_same(write_video, tmp_path, codec):
    write_video("clip.mkv", options={"bf": "2"})
    restore(tmp_path, "clip.mkv", codec=codec, segment=3)
    whole = packets(tmp_path / "out/clip.mkv")
    (tmp_path / "out/clip.mkv").unlink()
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path, "clip.mkv", codec=codec, segment=3, watch=stop_at(8))
    fresh = []
    (record,) = restore(
        tmp_path, "clip.mkv", codec=codec, segment=3, watch=lambda job, progress: fresh.append(progress.fresh)
    )
    assert max(fresh) == 6  # two segments of three frames were there
    assert "resumed an interrupted run after its first 6 frames" in record.notes
    assert packets(tmp_path / "out/clip.mkv") == whole
    assert files(tmp_path / "out") == {"clip.mkv", "restoration.jsonl"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("where", ["00001.mkv", "clip.mkv"])
def test_a_full_disk_ends_the_run_and_keeps_what_is_there(write_video, tmp_path, where):
    write_video("clip.mkv")
    full = tmp_path / "out/.clip.mkv.partial" / where

    def fill(job, progress):
        if progress.fresh == 2:
            full.symlink_to("/dev/full")

    with pytest.raises(OutOfSpace, match="no space left on the disk"):
        restore(tmp_path, "clip.mkv", codec="ffv1", segment=3, watch=fill)
    full.unlink()
    (record,) = restore(tmp_path, "clip.mkv", codec="ffv1", segment=3)
    assert (record.status, record.frames) == ("done", 12)
    resumed = 3 if where == "00001.mkv" else 12
    assert f"resumed an interrupted run after its first {resumed} frames" in record.notes


def test_segments_of_another_chain_or_input_are_not_used(write_video, tmp_path):
    write_video("clip.mkv")
    partial = tmp_path / "out/.clip.mkv.partial"
    partial.mkdir(parents=True)
    (partial / ".job.json").write_text('"another"')
    (partial / "00000.mkv").write_bytes(b"stale")
    (partial / "00000.json").write_text("{}")
    assert restore(tmp_path, "clip.mkv")[0].frames == 12


def test_a_folder_of_frames_becomes_a_video(tmp_path):
    (tmp_path / "scan").mkdir()
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"scan/frame{number}.png"), np.full((16, 16, 3), number * 20, np.uint8))
    (record,) = restore(tmp_path, "scan", fps="24000/1001", codec="libx264", crf=1, flicker=True)
    assert (record.status, record.output, record.frames, record.differs) == ("done", "scan.mp4", 3, ())
    assert record.flicker.keys() == {"source", "result"}
    with av.open(str(tmp_path / "out/scan.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == [number * Fraction(1001, 24000) for number in range(3)]
    assert all(first.to_ndarray().mean() < second.to_ndarray().mean() for first, second in pairwise(frames))


def test_missing_and_transparent_frames_of_a_folder_are_reported(tmp_path):
    (tmp_path / "scan").mkdir()
    for number in (1, 2, 3, 5, 6):
        cv2.imwrite(str(tmp_path / f"scan/{number}.png"), np.full((16, 16, 4), 100, np.uint8))
    (record,) = restore(tmp_path, "scan", fps="25")
    gap = "frames between 3.png and 5.png are missing"
    assert (record.status, record.frames) == ("done", 5)
    assert record.notes[0].startswith("the alpha channel is dropped")
    assert [note for note in record.notes if note.startswith(gap)]
    (record,) = restore(tmp_path, "scan", fps="24", strict=True)
    assert (record.status, record.error.startswith(gap)) == ("failed", True)


@pytest.mark.parametrize(("pix_fmt", "dtype"), [("yuv444p", "uint8"), ("yuv444p10le", "uint16")])
def test_frames_are_also_written_as_images(write_video, tmp_path, pix_fmt, dtype):
    write_video("clip.mkv", codec="ffv1", pix_fmt=pix_fmt, times=[0, 512])
    restore(tmp_path, "clip.mkv", frames_out=tmp_path / "frames")
    assert images(tmp_path / "frames") == ["clip/000001.png", "clip/000002.png"]
    assert cv2.imread(str(tmp_path / "frames/clip/000002.png"), cv2.IMREAD_UNCHANGED).dtype == dtype


def test_frames_of_a_stopped_run_are_not_taken_for_all_of_them(write_video, tmp_path):
    write_video("clip.mkv")
    frames = tmp_path / "frames"
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path, "clip.mkv", frames_out=frames, segment=3, watch=stop_at(8))
    assert not (frames / "clip").exists()
    fresh = []
    restore(
        tmp_path, "clip.mkv", frames_out=frames, segment=3, watch=lambda job, progress: fresh.append(progress.fresh)
    )
    assert max(fresh) == 6
    assert images(frames) == [f"clip/{number:06}.png" for number in range(1, 13)]
    assert restore(tmp_path, "clip.mkv", frames_out=frames, segment=3)[0].status == "skipped"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda frame: frame.unlink(), "is incomplete: 11 frames, expected 12"),
        (lambda frame: cv2.imwrite(str(frame), np.zeros((8, 9, 3))), "9 x 8 pixels in 000003.png, expected 32 x 24"),
        (lambda frame: frame.write_bytes(b""), "is incomplete: no readable image in 000003.png"),
    ],
)
def test_frames_that_are_not_as_they_were_written_are_reported(write_video, tmp_path, damage, text):
    write_video("clip.mkv")

    def disturb(job, progress):
        if progress.fresh == 12:
            damage(tmp_path / "frames/.clip.partial/000003.png")

    (record,) = restore(tmp_path, "clip.mkv", frames_out=tmp_path / "frames", watch=disturb)
    assert record.status == "failed"
    assert text in record.error
    assert restore(tmp_path, "clip.mkv", frames_out=tmp_path / "frames")[0].status == "done"


def test_segments_whose_frames_were_not_written_are_not_used(write_video, tmp_path):
    write_video("clip.mkv")
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path, "clip.mkv", segment=3, watch=stop_at(8))
    (record,) = restore(tmp_path, "clip.mkv", frames_out=tmp_path / "frames", segment=3)
    assert len(images(tmp_path / "frames")) == 12
    assert "discarded the partial output of another chain, other options or another input" in record.notes


def test_frames_of_two_videos_do_not_share_a_folder(write_video, tmp_path):
    write_video("clip.mkv")
    write_video("clip.mp4")
    with pytest.raises(ConfigError, match=r"frames of .*clip.mkv and .*clip.mp4 would both go to"):
        restore(tmp_path, "", frames_out=tmp_path / "frames")
    assert len(restore(tmp_path, "")) == 2


def test_frames_of_another_run_are_replaced_and_those_of_somebody_else_are_not(write_video, tmp_path):
    write_video("clip.mkv")
    frames = tmp_path / "frames"
    assert restore(tmp_path, "clip.mkv")[0].status == "done"
    assert restore(tmp_path, "clip.mkv", frames_out=frames)[0].status == "done"
    assert len(images(frames)) == 12
    (frames / "clip/000012.png").write_bytes(b"")
    assert restore(tmp_path, "clip.mkv", frames_out=frames, crf=20)[0].status == "done"
    assert (frames / "clip/000012.png").stat().st_size > 0
    (tmp_path / "others/clip").mkdir(parents=True)
    (tmp_path / "others/clip/mine.png").write_bytes(b"")
    (record,) = restore(tmp_path, "clip.mkv", frames_out=tmp_path / "others")
    assert record.status == "refused"
    assert "was not written by an earlier run; move it away" in record.error
    assert files(tmp_path / "others") == {"clip/mine.png"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codec": "x265"}, "codec: got 'x265', expected a libav encoder"),
        ({"codec": "h264"}, "codec: got 'h264', expected one of its encoders, such as libx264"),
        ({"codec": "aac"}, "which encodes audio"),
        ({"preset": "hasty"}, "libx264 does not accept crf 16, preset hasty"),
        ({"codec": "ffv1", "crf": 10, "preset": "slow"}, "crf: ffv1 has no such option; omit it\npreset: ffv1 has"),
        ({"pix_fmt": "rgb24"}, "pix_fmt: got 'rgb24', expected one that libx264 supports: yuv420p, "),
        ({"container": "avi"}, "container: got 'avi', expected one of mp4, mkv, mov"),
        ({"codec": "prores_ks", "container": "mp4"}, "container: got mp4, which does not support prores_ks"),
        ({"start": -1.0}, "start: got -1"),
        ({"duration": 0.0}, "duration: got 0"),
        ({"duration": float("nan")}, "duration: got nan"),
        ({"fps": "fast"}, "fps: got 'fast', expected frames per second such as 25 or 24000/1001"),
        ({"batch": 0}, "batch: got 0"),
    ],
)
def test_wrong_options_are_refused_before_any_work(options, text):
    with pytest.raises(ConfigError, match=text):
        VideoJobs(VideoOptions(**options))
