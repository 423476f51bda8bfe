"""Frames that flow through a chain, as from a decoder."""

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from pipeline.engine.engine import Engine
from pipeline.video.neighbours import context_of, restored_segment
from pipeline.video.reader import DecodedFrame
from pipeline.video.scenes import FlowingFrame, Scene
from pipeline.video.surroundings import in_segments


def run(part: Engine, frames: Tensor, windows: Tensor | None) -> Tensor:
    return part.run_frames(frames, windows=windows).pixels


def segments_of(
    images: Tensor, parts: Sequence[Engine], size: int, damaged: Collection[int] = ()
) -> Iterator[list[FlowingFrame]]:
    """Yield each segment's frames with those around it; their timestamps are their numbers."""
    decoded = [DecodedFrame(None, number, 1, damaged=number in damaged) for number in range(len(images))]
    scene, found = Scene(parts), dict[int, list[FlowingFrame]]()
    for frame in in_segments(decoded, size, context_of(parts)):
        image = images[frame.decoded.pts][None]
        found.setdefault(frame.segment, []).append(FlowingFrame(frame, image, torch.zeros_like(image), scene))
    yield from found.values()


@torch.inference_mode()
def restored(
    engine: Engine, images: Tensor, *, size: int = 250, batch: int = 1, damaged: Collection[int] = ()
) -> Tensor:
    """Restore frames, ``(N, 3, H, W)``, in segments."""
    parts = engine.parts()
    made = [
        frame.image
        for segment in segments_of(images, parts, size, damaged)
        for frame in restored_segment(segment, parts, size, batch, run)
    ]
    return torch.cat(made)
