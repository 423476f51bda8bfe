"""What a video costs beside its chain: ``python benchmarks/video_speed.py CLIP``.

A stage that does nothing, so decode + convert + encode are timed, against PyAV's plain loop of decode and encode with
the same encoder settings. They run in turn, so that the ratio holds while the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import av

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from pipeline.chain import Chain
from pipeline.config import ChainConfig
from pipeline.engine import Engine
from pipeline.memory import keep_freed_memory
from pipeline.video.encoder import add_film
from pipeline.video.films import VideoFile
from pipeline.video.options import VideoOptions
from pipeline.video.restore import FilmRestoration, Progress
from stages.unsharp_mask import UnsharpMaskConfig


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--codec", default=VideoOptions.codec)
    parser.add_argument("--preset", default=None)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, mps or auto")
    parser.add_argument("-n", "--runs", type=int, default=5, help="counted runs of each")
    chosen = parser.parse_args()

    keep_freed_memory()
    options = VideoOptions(codec=chosen.codec, preset=chosen.preset)
    engine = Engine(Chain.build(ChainConfig(stages=(UnsharpMaskConfig(strength=0.0),))), device=chosen.device)
    rates: dict[str, list[float]] = {"PyAV": [], "restorechain": []}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(chosen.runs + 1):
            plain = plain_rate(chosen.clip, Path(folder, "plain.mkv"), options)
            ours, progress = our_rate(chosen.clip, Path(folder, "ours.mkv"), options, engine)
            if run:  # the first one warms up
                rates["PyAV"].append(plain)
                rates["restorechain"].append(ours)
    for name, measured in rates.items():
        print(f"{name:13} {statistics.median(measured):6.1f} fps  ({min(measured):.1f} to {max(measured):.1f})")
    pairs = [ours / plain for plain, ours in zip(rates["PyAV"], rates["restorechain"], strict=True)]
    waiting = ", ".join(f"{name} {load.waiting:.0%}" for name, load in progress.loads.items())
    print(f"ratio {statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f}); waiting: {waiting}")


def plain_rate(clip: Path, target: Path, options: VideoOptions) -> float:
    """Return the frames a second of a script without us."""
    film = VideoFile(clip, options)
    started, frames = time.perf_counter(), 0
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        source.streams.video[0].thread_type = "AUTO"
        stream = add_film(out, film.footage, film.footage.layout, 1, options)
        for frame in source.decode(video=0):
            frame.pts, frame.time_base = frames, 1 / film.footage.rate
            frame.pict_type = 0
            out.mux(stream.encode(frame))
            frames += 1
        out.mux(stream.encode(None))
    return frames / (time.perf_counter() - started)


def our_rate(clip: Path, target: Path, options: VideoOptions, engine: Engine) -> tuple[float, Progress]:
    """Return the frames a second of a restoration, and how its steps spent their time."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        film = VideoFile(clip, options)
        progress = FilmRestoration(film, engine, options, Path(folder, "segments")).run(target).progress
    return progress.frames / (time.perf_counter() - started), progress


if __name__ == "__main__":
    main()
