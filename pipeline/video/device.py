"""The computing step: upload planes, convert to RGB, run the chain on a batch, convert back, download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Literal

import av
import numpy as np
import torch
from torch import Tensor

from pipeline.condition.condition import Condition
from pipeline.device.transfer import down
from pipeline.engine.engine import Engine, Restoration
from pipeline.engine.tensors import to_pixels
from pipeline.pixels import Pixels
from pipeline.video.colour import YUV, Planes
from pipeline.video.planes import to_frames
from pipeline.video.reader import DecodedFrame
from pipeline.video.scenes import Scenes
from pipeline.video.segments import FrameTiming
from pipeline.video.sources import VideoSource
from stages.layers import bicubic_upscale

_LARGEST_BATCH = 8


@dataclass(frozen=True)
class RestoredFrame:
    """A frame for the encoder, and its RGB pixels if they are written as PNG, too."""

    frame: av.VideoFrame
    timing: FrameTiming
    pixels: Pixels | None


@dataclass
class EngineTotals:
    """The engine's statistics, summed up over all batches."""

    seconds: dict[str, float] = field(default_factory=dict)
    backends: dict[str, str] = field(default_factory=dict)
    fp32_retries: int = 0
    memory_retries: int = 0
    strengths: dict[str, float] = field(default_factory=dict)
    condition: Condition | None = None
    tile: int | None = None
    precision: str | None = None
    device: str | None = None

    def add(self, other: Restoration[Tensor] | EngineTotals) -> None:
        """Add those of another batch, or of another part of the video."""
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.fp32_retries += other.fp32_retries
        self.memory_retries += other.memory_retries
        self.backends = other.backends or self.backends
        self.strengths = self.strengths or other.strengths
        self.condition = self.condition or other.condition
        if other.device is not None:
            self.tile, self.precision, self.device = other.tile, other.precision, other.device


class DeviceStep:
    """Restores batches of frames.

    Args:
        engine: Runs the chain.
        source: The video that the frames come from.
        layout: Pixel format of the results.
        keep_pixels: Also return RGB pixels.
        segment: Frames after which a new scene begins in any case, so that segments do not depend on each other.
    """

    def __init__(self, engine: Engine, source: VideoSource, layout: YUV, *, keep_pixels: bool, segment: int) -> None:
        self.engine = engine
        self.source = source
        self.layout = layout
        self.keep_pixels = keep_pixels
        self.segment = segment
        self.totals = EngineTotals()
        self.start_segment()

    def start_segment(self) -> None:
        """Go on with the first frame of a segment."""
        self._scenes, self._place = Scenes(self.engine), 0

    @torch.inference_mode()
    def restore(self, decoded: Sequence[DecodedFrame]) -> list[RestoredFrame]:
        """Restore frames that are all damaged or all intact; damaged ones are only upscaled bicubically."""
        if self._place == self.segment:
            self.start_segment()
        self._place += len(decoded)
        with _one_thread():
            image, excess = self.source.to_rgb(decoded, self.engine.device)
        scale = self.engine.chain.scale
        restored = bicubic_upscale(image, scale).clamp(0, 1) if decoded[0].damaged else self._run_chain(image)
        with _one_thread():
            downloads = [down(plane) for plane in self.layout.from_rgb(bicubic_upscale(excess, scale).add_(restored))]
            frames = to_frames(Planes(*(plane.result() for plane in downloads)), self.layout)
        return [
            RestoredFrame(frame, _timing(old), self._pixels(restored[at : at + 1]))
            for at, (frame, old) in enumerate(zip(frames, decoded, strict=True))
        ]

    def _run_chain(self, image: Tensor) -> Tensor:
        depth, made = self.source.footage.layout.depth, []
        for frames, engine in self._scenes.parts(image):
            restoration = engine.run_frames(frames, depth=depth)
            self.totals.add(restoration)
            made.append(restoration.pixels)
        return made[0] if len(made) == 1 else torch.cat(made)

    def _pixels(self, image: Tensor) -> Pixels | None:
        if not self.keep_pixels:
            return None
        depth = self.source.footage.layout.depth
        return to_pixels(image, np.dtype(np.uint8 if depth == 8 else np.uint16), gray=False)


def _timing(decoded: DecodedFrame) -> FrameTiming:
    return FrameTiming(decoded.pts, decoded.duration, decoded.damaged, decoded.messages.hex())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one core: conversions are too short to wait for cores that the encoder keeps busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def batch_size(chosen: int | Literal["auto"], device: torch.device) -> int:
    """Return the number of frames per batch; the engine splits batches that do not fit into memory.

    On a CPU it is 1: a second frame only evicts the first one from the caches.
    """
    if chosen != "auto":
        return chosen
    return 1 if device.type == "cpu" else _LARGEST_BATCH


def batches(frames: Iterable[DecodedFrame], size: int, segment: int) -> Iterator[list[DecodedFrame]]:
    """Group frames into batches: neighbours in one segment that are all damaged or all intact.

    Grouping restarts in each segment, so that a resumed run makes the same batches as an uninterrupted one. No frame
    is requested before its batch.
    """
    numbered = enumerate(frames)
    for _, alike in groupby(numbered, key=lambda pair: (pair[0] // segment, pair[1].damaged)):
        while batch := [frame for _, frame in islice(alike, size)]:
            yield batch
