"""Restore a video by a one-stage chain, and read its frames back."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.video.options import VideoOptions
from pipeline.video.progress import RestoredVideo, VideoProgress
from pipeline.video.restore import VideoRestoration
from pipeline.video.sources import VideoFile
from stages.edsr import EDSRConfig
from stages.stage import StageConfig
from stages.unsharp_mask import UnsharpMaskConfig

SAME = UnsharpMaskConfig(strength=0.0)


TWICE = EDSRConfig(width=2, depth=1, strength=0.0)


def restore(source: Path, target: Path, stage: StageConfig = SAME, **options) -> RestoredVideo:
    return restoration(source, target, Chain.build(ChainConfig(stages=(stage,))), **options).run(target)


def restoration(
    source: Path,
    target: Path,
    chain: Chain,
    on_frame: Callable[[VideoProgress], None] = lambda progress: None,
    **options,
) -> VideoRestoration:
    engine, chosen = Engine(chain, device="cpu"), VideoOptions(**options)
    folder = target.with_suffix(".partial")
    return VideoRestoration(VideoFile(source, chosen), engine, chosen, folder, on_frame=on_frame)


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
