"""Bring the neighbours of a video's frame onto it, along the motion between them.

    frame, neighbour -> gray, half size -> optical flow, one or both ways -> warped neighbour, trust

The flow is dense inverse search (Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV
2016, https://arxiv.org/abs/1603.03590). Where a pixel that goes to the neighbour and back does not return, something
hides it or moved too fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from stages.opencv import Array

_LONGEST = 960  # pixels of the longer side that the flow is searched at, half the frame's size at most
_SMALLEST = 16  # pixels of the shorter side from which the search works
_SMOOTHING = 1.0  # sigma in pixels at that size, as all that follow; noise would move the flow
_FINEST = 1  # times the size is halved where the search ends
_RETURN = 0.5  # by which a trusted pixel may miss where it came from
_MARGIN, _FADE = 5, 2.5  # side of the erosion, and sigma of the blur, of what is trusted
_SAME, _EVERY = 0.1 / 255, 4  # mean difference of frames that are one frame shown twice, in every fourth row
_FLOWS_KEPT = 32  # up to radius 3, all that the next frames need again


class Neighbour(NamedTuple):
    """A neighbouring frame on the place of the frame in the middle.

    Attributes:
        image: RGB, ``(H, W, 3)``.
        trust: 0 where it shows something else, 1 where it shows the same, ``(H, W)``.
    """

    image: Array
    trust: Array


def registered(window: Sequence[Array], interpolation: int, *, both_ways: bool) -> Iterator[Neighbour]:
    """Yield the neighbours of the frame in the middle, the nearest first, on its place.

    Frames shown twice are left out: what they would add is known.

    Args:
        window: An odd number of frames in order, RGB ``(H, W, 3)``, float32 in ``[0, 1]``.
        interpolation: OpenCV's; ``INTER_CUBIC`` keeps detail, ``INTER_LINEAR`` never exaggerates it.
        both_ways: Trust only where the flow there and the flow back agree; otherwise everywhere inside the neighbour.
            In even areas under noise both wander, and never agree.
    """
    middle = window[len(window) // 2]
    gray = _small_gray(middle)
    if min(gray.shape) < _SMALLEST:
        return
    for neighbour in _different(window):
        other = _small_gray(neighbour)
        there = _flow(gray.tobytes(), other.tobytes(), gray.shape)
        back = _flow(other.tobytes(), gray.tobytes(), gray.shape) if both_ways else None
        yield Neighbour(_warped(neighbour, _resized(there, middle), interpolation), _trust(there, back, middle))


def _different(window: Sequence[Array]) -> Iterator[Array]:
    """Yield the neighbours, the nearest first, that are no repetition of the middle or of one before."""
    centre = len(window) // 2
    seen = [window[centre][::_EVERY]]
    for index in sorted(range(len(window)), key=lambda index: abs(index - centre))[1:]:
        rows = window[index][::_EVERY]
        if all(cv2.norm(rows, others, cv2.NORM_L1) > _SAME * rows.size for others in seen):
            seen.append(rows)
            yield window[index]


def _small_gray(frame: Array) -> Array:
    """Return a frame in gray, 8 bit, at the size at which the flow is searched."""
    height, width = frame.shape[:2]
    factor = max(2, math.ceil(max(height, width) / _LONGEST))
    size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    return np.rint(cv2.GaussianBlur(small, (0, 0), _SMOOTHING) * 255).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=_FLOWS_KEPT)
def _flow(one: bytes, other: bytes, shape: tuple[int, int]) -> Array:
    """Return the flow from one gray image to another, ``(H, W, 2)`` in pixels as ``(x, y)``.

    The next windows of a video hold the same pairs again.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(_FINEST)
    images = (np.frombuffer(image, np.uint8).reshape(shape) for image in (one, other))
    # The stubs do not know that the initial flow may be None.
    return search.calc(*images, None)  # type: ignore[call-overload]


def _trust(there: Array, back: Array | None, frame: Array) -> Array:
    """Return where flow and way back, if given, agree inside the image, at a frame's size, smooth at the borders."""
    height, width = there.shape[:2]
    columns, rows = _places(there)
    agreed = (columns > -0.5) & (columns < width - 0.5) & (rows > -0.5) & (rows < height - 0.5)
    if back is not None:
        missed = there + _warped(back, there, cv2.INTER_LINEAR)
        agreed &= np.einsum("ijk,ijk->ij", missed, missed) < _RETURN**2
    sure = cv2.erode(agreed.astype(np.float32), np.ones((_MARGIN, _MARGIN), np.uint8))
    return cv2.resize(cv2.GaussianBlur(sure, (0, 0), _FADE), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _resized(flow: Array, frame: Array) -> Array:
    """Return a flow at a frame's size, in its pixels."""
    height, width = frame.shape[:2]
    factors = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    return cv2.resize(flow * factors, (width, height), interpolation=cv2.INTER_LINEAR)


def _warped(image: Array, flow: Array, interpolation: int) -> Array:
    """Return an image sampled at each pixel's place plus its flow; borders repeat the outermost pixels."""
    return cv2.remap(image, *_places(flow), interpolation, borderMode=cv2.BORDER_REPLICATE)


def _places(flow: Array) -> tuple[Array, Array]:
    """Return the columns and rows that a flow leads to, ``(H, W)`` each."""
    height, width = flow.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return flow[..., 0] + columns, flow[..., 1] + rows
