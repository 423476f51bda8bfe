"""Restore a video by a one-stage chain, and read its frames back."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.video.options import VideoOptions
from pipeline.video.restore import RestoredVideo, VideoRestoration
from pipeline.video.sources import VideoFile
from stages.edsr import EDSRConfig
from stages.stage import StageConfig
from stages.unsharp_mask import UnsharpMaskConfig

SAME = UnsharpMaskConfig(strength=0.0)


TWICE = EDSRConfig(width=2, depth=1, strength=0.0)


def restore(source: Path, target: Path, stage: StageConfig = SAME, **options) -> RestoredVideo:
    engine = Engine(Chain.build(ChainConfig(stages=(stage,))), device="cpu")
    chosen = VideoOptions(**options)
    return VideoRestoration(VideoFile(source, chosen), engine, chosen, target.with_suffix(".partial")).run(target)


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [numbers(frame) for frame in container.decode(video=0)]


def numbers(frame: av.VideoFrame) -> np.ndarray:
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    rows = [np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]
    return np.concatenate([plane.flatten() for plane in rows])
