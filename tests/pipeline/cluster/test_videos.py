"""Videos by segments over workers: the bytes and the record of one process, whichever worker dies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.batch.batch import Batch
from pipeline.batch.output import reserved
from pipeline.batch.plan import plan
from pipeline.batch.record import Record
from pipeline.batch.run_log import RunLog
from pipeline.batch.settings import RestoreSettings
from pipeline.chain.config import ChainConfig
from pipeline.cluster.batch import ClusterBatch
from pipeline.errors import BrokenVideo
from pipeline.video.options import VideoOptions
from pipeline.video.restore import VideoRestoration
from pipeline.video.surroundings import SegmentStart
from stages.atomic import partial_folder
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.chains import MeanOfFramesConfig
from tests.pipeline.cluster.test_batch import CHAIN, PoolInProcess, lines
from tests.pipeline.video.flowing import write_moving

VideoWriter = Callable[..., Path]
OPTIONS = VideoOptions(segment=5)


def restore(
    source: Path,
    out: Path,
    *,
    alone: bool = False,
    options: VideoOptions = OPTIONS,
    chain: ChainConfig = CHAIN,
    watch: Any = None,
    **pool: Any,
) -> Record:
    settings = RestoreSettings(chain, out, {"device": "cpu"}, options)
    records: list[Record] = []
    with reserved(out):
        run_log = RunLog(out / "restoration.jsonl")
        workers: Any = None if alone else PoolInProcess(settings, **pool)
        batch = (
            Batch(settings.make_steps(), run_log) if alone else ClusterBatch(settings.make_steps(), run_log, workers)
        )
        try:
            batch.run(plan([str(source)], out, video=options), records.append, watch or (lambda job, progress: None))
        finally:
            run_log.close()
    (record,) = records
    return record


@pytest.fixture
def clip(write_video: VideoWriter) -> Path:
    """A video of 23 frames at uneven times with sound, which makes five segments."""
    return write_video(times=[512 * number + 40 * (number % 3) for number in range(23)], audio=1)


def test_segments_over_workers_give_the_bytes_of_one_process(clip: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    many = restore(clip, tmp_path / "many", watch=lambda job, progress: seen.append(progress.frames), workers=3)
    one = restore(clip, tmp_path / "one", alone=True)
    assert (tmp_path / "many/clip.mp4").read_bytes() == (tmp_path / "one/clip.mp4").read_bytes()
    assert (many.status, many.notes, many.frames, many.differs) == (one.status, one.notes, one.frames, one.differs)
    assert len(lines(tmp_path / "many")) == 1
    assert many.stage_seconds.keys() == one.stage_seconds.keys()
    assert max(seen) == 23
    assert not partial_folder(tmp_path / "many/clip.mp4").exists()
    assert restore(clip, tmp_path / "many").status == "skipped"


def test_segments_read_the_frames_around_them(tmp_path: Path) -> None:
    stages = MeanOfFramesConfig(), UnsharpMaskConfig(), MeanOfFramesConfig(radius=2)
    chain, clip = ChainConfig.model_construct(stages=stages), write_moving(tmp_path / "clip.mp4")
    many = restore(clip, tmp_path / "many", chain=chain, options=VideoOptions(segment=4), workers=3)
    restore(clip, tmp_path / "one", chain=chain, options=VideoOptions(segment=4), alone=True)
    assert (tmp_path / "many/clip.mp4").read_bytes() == (tmp_path / "one/clip.mp4").read_bytes()
    assert many.frames == 15


def test_folders_of_frames_are_numbered_through(clip: Path, tmp_path: Path) -> None:
    for name, alone in (("many", False), ("one", True)):
        restore(
            clip, tmp_path / name, alone=alone, options=VideoOptions(segment=5, frames_out=tmp_path / f"{name}_png")
        )
    frames = sorted(path.relative_to(tmp_path / "one_png") for path in (tmp_path / "one_png").rglob("*.png"))
    assert len(frames) == 23
    for path in frames:
        assert (tmp_path / "many_png" / path).read_bytes() == (tmp_path / "one_png" / path).read_bytes()


def test_what_is_there_is_not_restored_again(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        restore(clip, tmp_path / "out", watch=interrupted_after(2))
    restored: list[int] = []
    original = VideoRestoration.restore_segment
    monkeypatch.setattr(
        VideoRestoration,
        "restore_segment",
        lambda self, index, start: restored.append(index) or original(self, index, start),
    )
    record = restore(clip, tmp_path / "out")
    assert len(restored) == 3
    assert "resumed an interrupted run after its first 10 frames" in record.notes
    restore(clip, tmp_path / "one", alone=True)
    assert (tmp_path / "out/clip.mp4").read_bytes() == (tmp_path / "one/clip.mp4").read_bytes()


def interrupted_after(count: int) -> Callable[..., None]:
    seen: list[Any] = []

    def watch(job: Any, progress: Any) -> None:
        seen.append(job)
        if len(seen) == count:
            raise KeyboardInterrupt

    return watch


def test_a_worker_that_dies_loses_its_segment_only(clip: Path, tmp_path: Path) -> None:
    record = restore(clip, tmp_path / "out", deadly={"clip.mp4": 2})
    assert record.status == "done"
    restore(clip, tmp_path / "one", alone=True)
    assert (tmp_path / "out/clip.mp4").read_bytes() == (tmp_path / "one/clip.mp4").read_bytes()


def test_a_segment_that_fails_fails_the_video_once(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: VideoRestoration, index: int, start: SegmentStart) -> Any:
        raise BrokenVideo("cannot be encoded")

    monkeypatch.setattr(VideoRestoration, "restore_segment", broken)
    record = restore(clip, tmp_path / "out")
    assert (record.status, record.error) == ("failed", "cannot be encoded")
    assert len(lines(tmp_path / "out")) == 1


def test_a_segment_that_begins_elsewhere_is_restored_at_the_end(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = VideoRestoration.restore_segment
    monkeypatch.setattr(
        VideoRestoration,
        "restore_segment",
        lambda self, index, start: original(self, index, start._replace(pts=start.pts + (index == 3))),
    )
    restore(clip, tmp_path / "out")
    restore(clip, tmp_path / "one", alone=True)
    assert (tmp_path / "out/clip.mp4").read_bytes() == (tmp_path / "one/clip.mp4").read_bytes()
