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
from pipeline.engine.engine import Engine
from pipeline.engine.restoration import Restoration
from pipeline.engine.tensors import to_pixels
from pipeline.pixels import Pixels
from pipeline.video.colour import YUV, Planes
from pipeline.video.neighbours import context_of, restored_segment, together
from pipeline.video.planes import to_frames
from pipeline.video.reader import DecodedFrame
from pipeline.video.scenes import FlowingFrame, Scene
from pipeline.video.segments import FrameTiming
from pipeline.video.sources import VideoSource
from pipeline.video.surroundings import SegmentFrame
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
        self.backends |= other.backends
        for name, strength in other.strengths.items():
            self.strengths.setdefault(name, strength)
        self.condition = self.condition or other.condition
        if other.device is not None:
            self.tile, self.precision, self.device = other.tile or self.tile or 0, other.precision, other.device


class DeviceStep:
    """Restores frames.

    Args:
        engine: Runs the chain.
        source: The video that the frames come from.
        layout: Pixel format of the results.
        keep_pixels: Also return RGB pixels.
        segment: Frames of a segment; segments do not depend on how each other are restored.
        batch: Frames that are restored at once.

    Attributes:
        context: Frames around a segment, on each side, on which its frames depend.
        totals: The engine's statistics so far.
    """

    def __init__(
        self, engine: Engine, source: VideoSource, layout: YUV, *, keep_pixels: bool, segment: int, batch: int
    ) -> None:
        self.engine = engine
        self.source = source
        self.layout = layout
        self.keep_pixels = keep_pixels
        self.segment = segment
        self.batch = batch
        self.parts = engine.parts()
        self.context = context_of(self.parts)
        self.totals = EngineTotals()

    @torch.inference_mode()
    def restore(self, decoded: Iterable[Sequence[SegmentFrame]]) -> Iterator[list[RestoredFrame]]:
        """Yield the restored frames of each segment, in batches.

        Args:
            decoded: Batches of the segments' frames and of those around them.
        """
        for _, frames in groupby(self._uploaded(decoded), key=lambda frame: frame.origin.segment):
            restored = restored_segment(frames, self.parts, self.segment, self.batch, self._run)
            while batch := list(islice(restored, self.batch)):
                yield self._downloaded(batch)

    def _uploaded(self, decoded: Iterable[Sequence[SegmentFrame]]) -> Iterator[FlowingFrame]:
        scene = Scene(self.parts)
        for batch in decoded:
            with _one_thread():
                image, excess = self.source.to_rgb([frame.decoded for frame in batch], self.engine.device)
            for at, frame in enumerate(batch):
                yield FlowingFrame(frame, image[at : at + 1], excess[at : at + 1], scene)

    def _run(self, part: Engine, frames: Tensor, windows: Tensor | None) -> Tensor:
        restoration = part.run_frames(frames, windows=windows, depth=self.source.footage.layout.depth)
        self.totals.add(restoration)
        return restoration.pixels

    def _downloaded(self, batch: Sequence[FlowingFrame]) -> list[RestoredFrame]:
        with _one_thread():
            excess = bicubic_upscale(together([frame.excess for frame in batch]), self.engine.chain.scale)
            restored = excess.add_(together([frame.image for frame in batch]))
            downloads = [down(plane) for plane in self.layout.from_rgb(restored)]
            made = to_frames(Planes(*(plane.result() for plane in downloads)), self.layout)
        return [
            RestoredFrame(frame, _timing(old.origin.decoded), self._pixels(old.image))
            for frame, old in zip(made, batch, strict=True)
        ]

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
