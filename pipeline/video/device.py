"""The middle step: frames to the device as planes, through the chain as a batch, back as planes."""

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

from pipeline.device.transfer import down
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import to_pixels
from pipeline.pixels import Pixels
from pipeline.video.colour import YUV, Planes
from pipeline.video.planes import to_frames
from pipeline.video.reader import DecodedFrame
from pipeline.video.segments import Shown
from pipeline.video.sources import VideoSource
from stages.layers import bicubic_upscale

_LARGEST_BATCH = 8


@dataclass(frozen=True)
class Made:
    """A restored frame on its way to the encoder; its pixels only if they are wanted."""

    frame: av.VideoFrame
    shown: Shown
    pixels: Pixels | None


@dataclass
class Account:
    """What the engine said of all batches together."""

    seconds: dict[str, float] = field(default_factory=dict)
    backends: dict[str, str] = field(default_factory=dict)
    fp32_retries: int = 0
    memory_retries: int = 0
    tile: int | None = None
    precision: str | None = None
    device: str | None = None


class DeviceStep:
    """Restores batches of frames.

    Args:
        engine: The chain.
        film: Where the frames come from.
        layout: The planes of the results.
        keep_pixels: Return RGB pixels beside the planes.
    """

    def __init__(self, engine: Engine, film: VideoSource, layout: YUV, *, keep_pixels: bool) -> None:
        self.engine = engine
        self.film = film
        self.layout = layout
        self.keep_pixels = keep_pixels
        self.account = Account()

    @torch.inference_mode()
    def restore(self, shots: Sequence[DecodedFrame]) -> list[Made]:
        """Restore frames that are all damaged or all whole; damaged ones are only enlarged."""
        with _one_thread():
            image, excess = self.film.to_rgb(shots, self.engine.device)
        scale = self.engine.chain.scale
        made = bicubic_upscale(image, scale).clamp(0, 1) if shots[0].damaged else self._through_chain(image)
        with _one_thread():
            coming = [down(plane) for plane in self.layout.from_rgb(bicubic_upscale(excess, scale).add_(made))]
            frames = to_frames(Planes(*(plane.result() for plane in coming)), self.layout)
        return [
            Made(frame, Shown(shot.pts, shot.duration, shot.damaged), self._pixels(made[index : index + 1]))
            for index, (frame, shot) in enumerate(zip(frames, shots, strict=True))
        ]

    def _through_chain(self, image: Tensor) -> Tensor:
        depth = self.film.footage.layout.depth
        restoration = self.engine.run_frames(image, depth=depth)
        account = self.account
        for name, seconds in restoration.seconds.items():
            account.seconds[name] = account.seconds.get(name, 0.0) + seconds
        account.fp32_retries += restoration.fp32_retries
        account.memory_retries += restoration.memory_retries
        account.backends = restoration.backends
        account.tile, account.precision, account.device = restoration.tile, restoration.precision, restoration.device
        return restoration.pixels

    def _pixels(self, image: Tensor) -> Pixels | None:
        if not self.keep_pixels:
            return None
        depth = self.film.footage.layout.depth
        return to_pixels(image, np.dtype(np.uint8 if depth == 8 else np.uint16), gray=False)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one core: converting a frame is too short to wait for others that the encoder keeps busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def batch_size(chosen: int | Literal["auto"], device: torch.device) -> int:
    """Return how many frames are given to the device at once; the engine takes fewer if they do not fit.

    On a CPU a second frame only drives the first one out of the caches.
    """
    if chosen != "auto":
        return chosen
    return 1 if device.type == "cpu" else _LARGEST_BATCH


def batches(shots: Iterable[DecodedFrame], size: int, segment: int) -> Iterator[list[DecodedFrame]]:
    """Group frames for the device: neighbours of one segment that are all damaged or all whole.

    Grouped anew in each segment, so that a run that goes on behind one groups them as one that never stopped. No
    frame is asked for before its batch.
    """
    numbered = enumerate(shots)
    for _, alike in groupby(numbered, key=lambda pair: (pair[0] // segment, pair[1].damaged)):
        while batch := [shot for _, shot in islice(alike, size)]:
            yield batch
