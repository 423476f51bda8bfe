"""Damaged videos end in a whole result, or in one line that says why not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import av
import pytest

from tests.faults.campaign import Campaign
from tests.faults.command import Ended, Worker
from tests.faults.mutation import mutate
from tests.faults.outcome import Tally, faults_of, last_record, leftovers
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
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    seeds, random, tally = write_seeds(tmp_path / "seeds"), Random(campaign.seed), Tally()
    worker = Worker(("pipeline.batch.batch", "pipeline.engine.engine", "pipeline.video.restore"))
    try:
        for number in range(campaign.count(2000)):
            source = seeds[number % len(seeds)]
            data, how = mutate(source.read_bytes(), random)
            mutated = tmp_path / f"mutated{source.suffix}"
            mutated.write_bytes(data)
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            ended = worker.run(mutated.name, *_RESTORE, folder=tmp_path)
            outcome, faults = _faults(ended, tmp_path / "out")
            tally.add(f"{number} ({source.name}: {', '.join(how)})", ended, outcome, faults)
            if faults:
                (tmp_path / "faults").mkdir(exist_ok=True)
                shutil.copy(mutated, tmp_path / "faults" / f"{number}_{source.name}")
                (tmp_path / "faults" / f"{number}.txt").write_text("\n".join([*faults, ended.output]))
    finally:
        worker.close()
    campaign.report("damaged videos", tally)
    assert not tally.faults, "\n".join(tally.faults)


def _faults(ended: Ended, output: Path) -> tuple[str, list[str]]:
    """Return how the restoration of a damaged video ended, and what is wrong with that."""
    faults, record = list(faults_of(ended)), last_record(output)
    status = record.get("status", "not started" if ended.code >= 0 else "crashed")
    # What a video was restored to until it failed is kept for the next run.
    faults += [f"left {name}" for name in leftovers(output) if ".partial/" not in name]
    if status == "done":
        faults += _wrong_result(output / record["output"], record)
        status = "done, differs" if record.get("differs") else "done"
    return status, faults


def _wrong_result(target: Path, record: dict[str, list[int]]) -> Iterator[str]:
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        sizes = [record["input_size"], record["output_size"], [stream.width, stream.height]]
        frames = sum(1 for _ in container.decode(stream))
    if not sizes[0] == sizes[1] == sizes[2]:
        yield f"sizes {sizes} differ"
    if frames != record["frames"]:
        yield f"{record['frames']} frames recorded, {frames} in the file"
