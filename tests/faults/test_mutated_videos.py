"""Damaged videos end in a whole result, or in one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import Worker
from tests.faults.damaged import Damaged, damaged_copies, restore_all
from tests.pipeline.video import clips

_RESTORE = ("-o", "out", "-c", "chain.yaml", "--device", "cpu", "--precision", "fp32", "--preset", "ultrafast")


def write_seeds(folder: Path) -> list[Path]:
    """Write small videos in the containers and codecs that are usual; returns their paths."""
    folder.mkdir()
    made = [make(folder / make.__name__) for make in (clips.b_frames, clips.hdr10, clips.two_languages, clips.rotated)]
    made += [make(folder / make.__name__) for make in (clips.late_start, clips.edit_list, clips.vp9, clips.timecode)]
    made += [clips.with_sound(folder / f"sound{suffix}", codec) for suffix, codec in _WITH_SOUND.items()]
    return made + [clips.camcorder(folder / f"camcorder{suffix}") for suffix in (".mod", ".tod", ".m2v")]


_WITH_SOUND = {".avi": "mp2", ".wmv": "wmav2", ".flv": "nellymoser", ".3gp": "aac", ".mkv": "flac"}


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_two_thousand_damaged_videos(tmp_path: Path, campaign: Campaign) -> None:
    worker = Worker(("pipeline.batch.batch", "pipeline.engine.engine", "pipeline.video.restore"))
    try:
        tally = restore_all(
            _damaged(tmp_path, campaign.count(2000), campaign.seed),
            tmp_path / "out",
            lambda paths: worker.run(*(path.name for path in paths), *_RESTORE, folder=tmp_path),
            _wrong,
            together=8,
        )
    finally:
        worker.close()
    campaign.report("damaged videos", tally)
    assert not tally.faults, "\n".join(tally.faults)


def _damaged(folder: Path, count: int, seed: int) -> Iterator[Damaged]:
    return damaged_copies(folder, write_seeds(folder / "seeds"), count, seed, accents=False)


def _wrong(file: Damaged, target: Path, record: dict[str, list[int]]) -> Iterator[str]:
    """Yield where sizes and frames of a result differ from what was recorded."""
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        sizes = [record["input_size"], record["output_size"], [stream.width, stream.height]]
        frames = sum(1 for _ in container.decode(stream))
    if not sizes[0] == sizes[1] == sizes[2]:
        yield f"sizes {sizes} differ"
    if frames != record["frames"]:
        yield f"{record['frames']} frames recorded, {frames} in the file"
