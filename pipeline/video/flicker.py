"""Measure temporal flicker: the warping error of a video.

The previous frame is warped along the motion between two frames of the source; the remaining difference to the next
frame is flicker. For frames V of a video, values in [0, 1]:

    E(t) = sum_i M_i (V_t - warp(V_{t-1}))_i^2 / sum_i M_i,    E = mean of E(t) over t

The mask M excludes occlusions and motion boundaries, found by forward-backward consistency (Ruder et al., "Artistic
style transfer for videos", GCPR 2016). The optical flow is dense inverse search (Kroeger et al., ECCV 2016), upscaled
bilinearly for a video larger than the source.

Errors can be compared for the same source only: bicubic upscaling does not flicker, and blur lowers the error. With a
reference, a good result comes close to the reference's own error, not below.

Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 https://arxiv.org/abs/1808.00449
Bonneel et al., "Blind Video Temporal Consistency", SIGGRAPH Asia 2015
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import fmean

import av
import cv2
import numpy as np

from pipeline.errors import RefusedVideo
from pipeline.pixels import Pixels, white
from pipeline.video.container import open_video, video_stream_of
from pipeline.video.options import VideoOptions
from pipeline.video.probe import probe
from pipeline.video.sources import FrameFolder
from pipeline.video.window import window_of

Frame = np.ndarray
# The smallest side that dense inverse search supports, in pixels.
_SMALLEST = 12


@dataclass(frozen=True)
class Flicker:
    """The warping error of a video, averaged over all pairs of neighbouring frames.

    Attributes:
        squared: Mean over pixels and channels of the squared difference of values in ``[0, 1]``, as in the paper.
        absolute: Mean absolute difference in 8-bit gray levels.
        seen: Fraction of the pixels inside the mask.
        pairs: Number of pairs of frames.
    """

    squared: float
    absolute: float
    seen: float
    pairs: int


def warping_errors(source: Iterable[Frame], videos: Mapping[str, Iterable[Frame]]) -> dict[str, Flicker]:
    """Return the warping errors of the source and of videos along the motion in the source.

    Args:
        source: Frames, ``(H, W, 3)`` RGB uint8.
        videos: By name, as many frames each as the source, at its size or a whole multiple of it.

    Returns:
        The errors by name; ``source`` is the source's own error at its own size.

    Raises:
        RefusedVideo: if lengths or sizes do not match, or if the motion between no two frames can be estimated.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = []
    for before, after in pairwise(_aligned({"source": source, **videos})):
        motion, seen = _motion(search, before["source"], after["source"])
        if seen.any():
            pairs.append({name: _difference(before[name], after[name], motion, seen) for name in after})
    if not pairs:
        raise RefusedVideo("the motion between no two frames can be estimated, expected at least one such pair")
    return {name: _mean([pair[name] for pair in pairs]) for name in pairs[0]}


def flicker_of_files(
    source: Path,
    result: Path,
    reference: Path | None = None,
    options: VideoOptions = VideoOptions(),  # noqa: B008  (frozen)
) -> dict[str, Flicker]:
    """Return the warping errors of ``source``, ``result`` and, if given, ``reference``.

    Each may be a folder of frames.

    Args:
        source: The video that was restored.
        result: The restored video.
        reference: The ideal result.
        options: ``start`` and ``duration`` select the part of source and reference that the result covers; ``fps`` is
            the frame rate of folders.

    Raises:
        BrokenVideo: if a file cannot be read.
        RefusedVideo: as ``warping_errors``.
    """
    videos = {"result": _frames(result, VideoOptions())}
    if reference is not None:
        videos["reference"] = _frames(reference, options)
    return warping_errors(_frames(source, options), videos)


def _frames(path: Path, options: VideoOptions) -> Iterator[Frame]:
    return (_frames_of_folder if path.is_dir() else _frames_of_file)(path, options)


def _frames_of_folder(path: Path, options: VideoOptions) -> Iterator[Frame]:
    folder, window = FrameFolder(path, options), window_of(Fraction(0), options.start, options.duration)
    for frame in folder.frames():
        if window.contains(frame.pts * folder.footage.time_base):
            yield _as_8_bit(frame.frame)


def _frames_of_file(path: Path, options: VideoOptions) -> Iterator[Frame]:
    matrix = probe(path).layout.matrix  # for untagged files, the same guess as for restoring
    with open_video(path) as container:
        stream = video_stream_of(container)
        stream.thread_type = "AUTO"
        window = window_of(Fraction(container.start_time or 0, av.time_base), options.start, options.duration)
        for frame in container.decode(stream):
            if frame.time_base is None or frame.pts is None or window.contains(frame.pts * frame.time_base):
                yield frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()


def _as_8_bit(pixels: Pixels) -> Frame:
    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return rgb if rgb.dtype == np.uint8 else np.rint(rgb / white(rgb.dtype) * 255).astype(np.uint8)


def _aligned(videos: Mapping[str, Iterable[Frame]]) -> Iterator[dict[str, Frame]]:
    """Yield the frames with the same number of all videos, by name."""
    for number, frames in enumerate(zip_longest(*videos.values())):
        together = dict(zip(videos, frames, strict=True))
        ended = [name for name, frame in together.items() if frame is None]
        if ended:
            longer = ", ".join(name for name in videos if name not in ended)
            raise RefusedVideo(f"{', '.join(ended)} ends after {number} frames, expected as many as {longer}")
        height, width = together["source"].shape[:2]
        if min(height, width) < _SMALLEST:
            raise RefusedVideo(f"source is {width}x{height}, expected sides of at least {_SMALLEST} pixels")
        for name, frame in together.items():
            scale = frame.shape[0] // height
            if scale < 1 or frame.shape[:2] != (height * scale, width * scale):
                size = f"{frame.shape[1]}x{frame.shape[0]}"
                raise RefusedVideo(f"{name} is {size}, expected {width}x{height} of the source times a whole number")
        yield together


def _motion(search: cv2.DISOpticalFlow, before: Frame, after: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return the backward flow, ``(H, W, 2)`` in pixels as ``(x, y)``, and the mask of pixels where it is reliable."""
    old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    # The stubs do not know that the initial flow may be None.
    back, forth = search.calc(new, old, None), search.calc(old, new, None)  # type: ignore[call-overload]
    returned = _warp(forth, back)
    length = _squared(back)
    hidden = _squared(back + returned) > 0.01 * (length + _squared(returned)) + 0.5
    broken = sum(_squared(slope) for slope in np.gradient(back, axis=(0, 1))) > 0.01 * length + 0.002
    positions = _positions(back)
    outside = (positions < 0).any(-1) | (positions > np.array(new.shape[::-1]) - 1).any(-1)
    return back, ~(hidden | broken | outside)


def _difference(before: Frame, after: Frame, motion: np.ndarray, seen: np.ndarray) -> Flicker:
    height, width = after.shape[:2]
    scale = height // len(motion)
    motion = cv2.resize(motion, (width, height), interpolation=cv2.INTER_LINEAR) * scale
    seen = seen.repeat(scale, 0).repeat(scale, 1)
    difference = after[seen] - _warp(before.astype(np.float32), motion)[seen]
    squared, absolute = float(np.square(difference).mean()), float(np.abs(difference).mean())
    return Flicker(squared / 255**2, absolute, float(seen.mean()), 1)


def _warp(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Return ``image`` sampled bilinearly at each pixel's position plus its motion."""
    columns, rows = cv2.split(_positions(motion))
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _positions(motion: np.ndarray) -> np.ndarray:
    height, width = motion.shape[:2]
    return motion + np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.square(vectors).sum(-1)


def _mean(pairs: list[Flicker]) -> Flicker:
    return Flicker(
        squared=fmean(pair.squared for pair in pairs),
        absolute=fmean(pair.absolute for pair in pairs),
        seen=fmean(pair.seen for pair in pairs),
        pairs=len(pairs),
    )
