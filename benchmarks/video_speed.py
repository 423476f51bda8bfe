"""Measure the overhead of video restoration without its chain: ``python benchmarks/video_speed.py CLIP``.

Decoding, conversion and encoding around an identity stage are timed against a plain PyAV loop with the same encoder
settings. Both run alternately, so that drifts of the machine's speed cancel in the ratio. CPU time covers all threads,
including the encoder's; its ratio is valid even if other programs use the cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.device.process import keep_freed_memory
from pipeline.engine.engine import Engine
from pipeline.video.encoder import add_video_stream
from pipeline.video.options import VideoOptions
from pipeline.video.progress import VideoProgress
from pipeline.video.restore import VideoRestoration
from pipeline.video.sources import VideoFile
from stages.unsharp_mask import UnsharpMaskConfig


class Speed(NamedTuple):
    """Frames per second, and milliseconds of CPU time per frame."""

    rate: float
    cpu: float


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--codec", default=VideoOptions.codec)
    parser.add_argument("--preset", default=None)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("-n", "--runs", type=int, default=5, help="measured runs of each")
    chosen = parser.parse_args()

    keep_freed_memory()
    options = VideoOptions(codec=chosen.codec, preset=chosen.preset)
    engine = Engine(Chain.build(ChainConfig(stages=(UnsharpMaskConfig(strength=0.0),))), device=chosen.device)
    plain, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.runs + 1):
            speed, _ = timed(lambda: encode_plainly(chosen.clip, Path(folder, "plain.mkv"), options))
            plain.append(speed)
            speed, progress = timed(lambda: restore(chosen.clip, Path(folder, "ours.mkv"), options, engine))
            ours.append(speed)
    del plain[0], ours[0]  # warm-up
    for name, speeds in (("PyAV", plain), ("restorechain", ours)):
        rates = [speed.rate for speed in speeds]
        cpu = statistics.median(speed.cpu for speed in speeds)
        print(
            f"{name:13} {statistics.median(rates):6.1f} fps ({min(rates):.1f} to {max(rates):.1f}), "
            f"{cpu:5.1f} ms of CPU per frame"
        )
    ratios = [one.rate / other.rate for one, other in zip(ours, plain, strict=True)]
    cpu_ratios = [other.cpu / one.cpu for one, other in zip(ours, plain, strict=True)]
    waiting = ", ".join(f"{name} {load.waiting:.0%}" for name, load in progress.loads.items())
    print(
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"by CPU time {statistics.median(cpu_ratios):.2f}; waiting: {waiting}"
    )


def timed(work: Callable[[], VideoProgress]) -> tuple[Speed, VideoProgress]:
    """Return the speed of a run, and its progress object."""
    started, cpu_before = time.perf_counter(), time.process_time()
    progress = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    return Speed(progress.frames / seconds, 1000 * cpu / progress.frames), progress


def encode_plainly(clip: Path, target: Path, options: VideoOptions) -> VideoProgress:
    """Decode and encode in a plain PyAV loop."""
    footage = VideoFile(clip, options).footage
    progress = VideoProgress(None)
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        source.streams.video[0].thread_type = "AUTO"
        stream = add_video_stream(out, footage, footage.layout, 1, options)
        for frame in source.decode(video=0):
            frame.pts, frame.time_base = progress.frames, 1 / footage.rate
            frame.pict_type = 0
            out.mux(stream.encode(frame))
            progress.frames += 1
        out.mux(stream.encode(None))
    return progress


def restore(clip: Path, target: Path, options: VideoOptions, engine: Engine) -> VideoProgress:
    """Decode, convert and encode by ``VideoRestoration``."""
    with tempfile.TemporaryDirectory() as folder:
        source = VideoFile(clip, options)
        return VideoRestoration(source, engine, options, Path(folder, "segments")).run(target).progress


if __name__ == "__main__":
    main()
