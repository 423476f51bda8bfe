"""A video that was resumed after its run was killed equals that of an uninterrupted run."""

import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.pipeline.video import clips

ROOT = Path(__file__).resolve().parents[3]
FRAMES = 600
FRAME_BY_FRAME = "stages:\n  - {stage: unsharp_mask}\n  - {stage: bicubic, scale: 2}\n"
BY_NEIGHBOURS = """\
stages:
  - {stage: temporal_denoise, radius: 1, noise_level: 40}
  - {stage: unsharp_mask}
  - {stage: temporal_fusion, radius: 1}
  - {stage: bicubic, scale: 2}
"""


def start(folder: Path, output: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "clip.mkv", "-o", output, "-c", "chain.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*command, "--codec", "ffv1", "--quiet"], cwd=folder, env=environment, text=True)


def frames_of(path: Path) -> list[tuple[int | None, bytes]]:
    """Return timestamp and bytes of each packet; FFV1 is intra-only, so a packet is a frame."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def write_video(path: Path, size: tuple[int, int]) -> None:
    """Write a video with uneven timestamps and audio."""
    times = [40 * number + 7 * (number % 3) for number in range(FRAMES)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height = size
        stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("aac", rate=48000, layout="mono")
        for number, pts in enumerate(times):
            frame = clips.numbered_frame(number % 256, size, "yuv420p")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts, silence.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(tone.encode(silence))
        container.mux(tone.encode(None))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("chain", "size"), [(FRAME_BY_FRAME, (320, 180)), (BY_NEIGHBOURS, (64, 48))])
def test_a_run_killed_three_times_gives_the_same_frames(tmp_path: Path, chain: str, size: tuple[int, int]) -> None:
    (tmp_path / "chain.yaml").write_text(chain)
    write_video(tmp_path / "clip.mkv", size)
    began = time.monotonic()
    assert start(tmp_path, "whole").wait() == 0
    seconds = time.monotonic() - began

    kept = 0
    for moment in sorted(random.uniform(0.2, 0.9) for _ in range(3)):
        running = start(tmp_path, "killed")
        time.sleep(moment * seconds)
        running.send_signal(signal.SIGKILL)
        running.wait()
        if (tmp_path / "killed/clip.mkv").exists():
            break
        kept = max(kept, len(list((tmp_path / "killed/.clip.mkv.partial").glob("*.json"))) - 1)
    assert start(tmp_path, "killed").wait() == 0

    print(f"killed with up to {kept} segments kept")
    whole = frames_of(tmp_path / "whole/clip.mkv")
    assert len(whole) == FRAMES
    assert frames_of(tmp_path / "killed/clip.mkv") == whole
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {"clip.mkv", "restoration.jsonl"}
