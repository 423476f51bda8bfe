"""Restore the frames of a segment by a chain, each stage with the neighbours that it uses.

    scenes -> part 1 (denoise) -> part 2 (of frames t-2 ... t+2) -> part 3 (upscale) -> the segment's frames

Each frame passes each part once. A part with a radius holds frames until the last neighbour has come, so the parts
after it run behind. Of the frames around the segment, each part restores those only that later parts use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain, groupby, islice, repeat

import torch
from torch import Tensor

from pipeline.engine.engine import Engine
from pipeline.video.scenes import CUT_CONTEXT, FlowingFrame, in_scenes
from stages.layers import bicubic_upscale

Run = Callable[[Engine, Tensor, Tensor | None], Tensor]
"""Restores frames by a part: takes its engine, frames and windows as ``Engine.run_frames`` does."""

_Window = list[FlowingFrame]


def context_of(parts: Sequence[Engine]) -> int:
    """Return the frames around a segment, on each side, on which the restored ones depend."""
    radius = sum(part.chain.radius for part in parts)
    return radius + CUT_CONTEXT if radius or any(part.chain.automatic for part in parts) else 0


def restored_segment(
    frames: Iterable[FlowingFrame], parts: Sequence[Engine], size: int, batch: int, run: Run
) -> Iterator[FlowingFrame]:
    """Yield the restored frames of a segment.

    Args:
        frames: The segment's, and ``context_of(parts)`` around it on each side, as far as there are any.
        parts: Engines of the chain's parts.
        size: Frames of the segment.
        batch: Frames that are restored at once.
        run: Restores them.
    """
    flow = in_scenes(frames, size) if context_of(parts) else iter(frames)
    radii = [part.chain.radius for part in parts]
    for index, (radius, margin) in enumerate(zip(radii, _later(radii), strict=True)):
        flow = _through(index, _windows(flow, radius, range(-margin, size + margin)), batch, run)
    return flow


def _later(radii: Sequence[int]) -> list[int]:
    """Return for each part the sum of the radii of those after it."""
    return [*accumulate(reversed(radii[1:]), initial=0)][::-1]


def _windows(frames: Iterable[FlowingFrame], radius: int, places: range) -> Iterator[_Window]:
    """Yield each frame of these places between its neighbours, in order.

    Instead of a neighbour that there is not, that is damaged, or beyond a cut, stands the frame itself.
    """
    around: deque[FlowingFrame | None] = deque([None] * (2 * radius + 1), maxlen=2 * radius + 1)
    for frame in chain(frames, repeat(None, radius)):
        around.append(frame)
        middle = around[radius]
        if middle is not None and middle.origin.place in places:
            yield [one if one and one.scene is middle.scene and not one.damaged else middle for one in around]


def _through(index: int, windows: Iterable[_Window], size: int, run: Run) -> Iterator[FlowingFrame]:
    """Restore frames by the part of this index; damaged ones are only upscaled bicubically."""
    for (scene, damaged), alike in groupby(
        windows, key=lambda window: (_middle(window).scene, _middle(window).damaged)
    ):
        part = scene.parts[index]
        while batch := list(islice(alike, size)):
            middles = [_middle(window) for window in batch]
            if damaged:
                images = together([frame.image for frame in middles])
                made = bicubic_upscale(images, part.chain.scale).clamp(0, 1)
            elif part.chain.radius:
                made = _restored_by_neighbours(part, batch, run)
            else:  # of single frames, or one whose strength in this scene is 0
                made = run(part, together([frame.image for frame in middles]), None)
            yield from (replace(frame, image=made[at : at + 1]) for at, frame in enumerate(middles))


def _middle(window: _Window) -> FlowingFrame:
    return window[len(window) // 2]


def _restored_by_neighbours(part: Engine, batch: Sequence[_Window], run: Run) -> Tensor:
    frames = {frame.origin.place: frame.image for window in batch for frame in window}
    index = {place: number for number, place in enumerate(frames)}
    windows = [[index[frame.origin.place] for frame in window] for window in batch]
    images = together(list(frames.values()))
    return run(part, images, torch.tensor(windows, device=images.device))


def together(images: Sequence[Tensor]) -> Tensor:
    """Return ``(1, ...)`` tensors as one ``(B, ...)``; a single one is not copied."""
    return torch.cat(list(images)) if len(images) > 1 else images[0]
