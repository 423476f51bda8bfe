"""libav frames <-> planes as tensors, in the working formats: planar YUV of 8 to 16 bits."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import torch
from torch import Tensor

from pipeline.video.colour import YUV, Planes

_SUBSAMPLINGS = {(False, False): "444", (False, True): "422", (True, True): "420"}


def pix_fmt_of(layout: YUV) -> str:
    """Return libav's name of the pixel format."""
    depth = "" if layout.depth == 8 else f"{layout.depth}le"
    return f"yuv{_SUBSAMPLINGS[layout.halved]}p{depth}"


def shape_of(pix_fmt: str) -> tuple[int, tuple[bool, bool]]:
    """Return bit depth and chroma subsampling of the working format for any pixel format.

    Planar YUV is its own working format; others get the nearest lossless one, RGB two more bits.
    """
    name = pix_fmt.replace("yuvj", "yuv")
    known = av.VideoFormat(name)
    depth = max(component.bits for component in known.components)
    if known.is_rgb or known.has_palette:
        return (10 if depth <= 8 else 12 if depth <= 10 else 16), (False, False)
    halved = known.chroma_height(4) < 4, known.chroma_width(4) < 4
    gray = len(known.components) < 3
    return next(deep for deep in (8, 9, 10, 12, 14, 16) if deep >= depth), (
        (True, True) if gray else halved if halved in _SUBSAMPLINGS else (False, False)
    )


def to_planes(frames: Sequence[av.VideoFrame], layout: YUV) -> Planes:
    """Return the planes of frames that share a layout; a single frame is not copied."""
    planes = zip(*(map(torch.from_numpy, _arrays(frame, layout)) for frame in frames), strict=True)
    return Planes(*(torch.stack(plane) if len(plane) > 1 else plane[0][None] for plane in planes))


def to_frames(planes: Planes, layout: YUV) -> list[av.VideoFrame]:
    """Return one frame for each item of the batch."""
    batch, height, width = planes.luma.shape
    frames = [av.VideoFrame(width, height, pix_fmt_of(layout)) for _ in range(batch)]
    for index, frame in enumerate(frames):
        for target, plane in zip(_arrays(frame, layout), planes, strict=True):
            _copy(plane[index], target)
    return frames


def _copy(plane: Tensor, target: np.ndarray) -> None:
    target[:] = plane.cpu().numpy()


def _arrays(frame: av.VideoFrame, layout: YUV) -> list[np.ndarray]:
    """Return views of a frame's planes; as int16 above 8 bits, because torch lacks uint16 arithmetic."""
    dtype = np.dtype(np.uint8 if layout.depth == 8 else np.int16)
    arrays = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype)[: plane.height * plane.line_size // dtype.itemsize]  # type: ignore[call-overload]
        arrays.append(rows.reshape(plane.height, -1)[:, : plane.width])
    return arrays
