"""How much a film flickers: the warping error, of a result and of what it is compared with.

The motion between two frames of the source carries the film's frame before to where things are in the next; what
then still differs is flicker. For frames V of a film, values in [0, 1]:

    E(t) = sum_i M_i (V_t - warp(V_{t-1}))_i^2 / sum_i M_i,    E = mean of E(t) over t

M leaves out what is hidden in one of the frames and where motion breaks off, by the consistency of the motions to
and fro (Ruder et al., "Artistic style transfer for videos", GCPR 2016). The motion is by dense inverse search
(Kroeger et al., ECCV 2016), enlarged bilinearly for a film larger than the source.

A figure means something beside others of the same source only: bicubic enlarging does not flicker, and blur lowers
the error. With a reference, a good result comes near the reference's own error, not below.

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
from rich.table import Table

from pipeline.cli.terminal import printable
from pipeline.errors import RefusedVideo
from pipeline.pixels import Pixels, white
from pipeline.video.container import open_video, video_stream_of
from pipeline.video.options import VideoOptions
from pipeline.video.probe import probe
from pipeline.video.sources import FrameFolder
from pipeline.video.window import window_of

Frame = np.ndarray
# What dense inverse search needs.
_SMALLEST = 12


@dataclass(frozen=True)
class Flicker:
    """The warping error of a film; the means of all pairs of frames.

    Attributes:
        squared: Mean over pixels and channels of the squared difference of values in ``[0, 1]``, as in the paper.
        absolute: Mean absolute difference in 8-bit grey levels.
        seen: Share of the pixels that could be followed.
        pairs: How many pairs of frames were compared.
    """

    squared: float
    absolute: float
    seen: float
    pairs: int


def warping_errors(source: Iterable[Frame], films: Mapping[str, Iterable[Frame]]) -> dict[str, Flicker]:
    """Return the warping error of the source and of films by the motion in the source.

    Args:
        source: Frames, ``(H, W, 3)`` RGB uint8.
        films: By name, as many frames each, of the source's size or a whole number of times as large.

    Returns:
        By name; the source's own error, at its own size, is that of ``source``.

    Raises:
        RefusedVideo: for films of other lengths or sizes, or if motion cannot be followed between any two frames.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = []
    for before, after in pairwise(_side_by_side({"source": source, **films})):
        motion, seen = _motion(search, before["source"], after["source"])
        if seen.any():
            pairs.append({name: _difference(before[name], after[name], motion, seen) for name in after})
    if not pairs:
        raise RefusedVideo("holds no two frames that motion can be followed between, expected at least one such pair")
    return {name: _mean([pair[name] for pair in pairs]) for name in pairs[0]}


def flicker_of_files(
    source: Path,
    result: Path,
    reference: Path | None = None,
    options: VideoOptions = VideoOptions(),  # noqa: B008  (frozen)
) -> dict[str, Flicker]:
    """Return the warping errors of ``source``, ``result`` and, where it is given, ``reference``.

    Each may be a folder of frames.

    Args:
        source: The film that was restored.
        result: What it became.
        reference: What it should be.
        options: ``start`` and ``duration`` tell which part of source and reference the result shows, and ``fps`` the
            frames a second of folders.

    Raises:
        BrokenVideo: if a file cannot be read.
        RefusedVideo: as ``warping_errors``.
    """
    films = {"result": _frames(result, VideoOptions())}
    if reference is not None:
        films["reference"] = _frames(reference, options)
    return warping_errors(_frames(source, options), films)


def as_table(films: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Return the errors of films by name, each a ``Flicker`` as a dictionary, for the terminal."""
    title = "Warping error between neighbouring frames, along the motion in the source; less is calmer."
    table = Table("film", "", "squared", "grey levels", "followed", title=title, title_style="", title_justify="left")
    for film, errors in films.items():
        for name, error in errors.items():
            numbers = f"{error['squared']:.6f}", f"{error['absolute']:.2f}", f"{error['seen']:.0%}"
            table.add_row(printable(film), name, *numbers)
        table.add_section()
    return table


def _frames(path: Path, options: VideoOptions) -> Iterator[Frame]:
    return (_frames_of_folder if path.is_dir() else _frames_of_file)(path, options)


def _frames_of_folder(path: Path, options: VideoOptions) -> Iterator[Frame]:
    folder, window = FrameFolder(path, options), window_of(Fraction(0), options.start, options.duration)
    for shot in folder.shots():
        if window.holds(shot.pts * folder.footage.time_base):
            yield _as_8_bit(shot.frame)


def _frames_of_file(path: Path, options: VideoOptions) -> Iterator[Frame]:
    matrix = probe(path).layout.matrix  # where a file does not say it, as it was restored
    with open_video(path) as container:
        stream = video_stream_of(container)
        stream.thread_type = "AUTO"
        window = window_of(Fraction(container.start_time or 0, av.time_base), options.start, options.duration)
        for frame in container.decode(stream):
            if frame.time_base is None or frame.pts is None or window.holds(frame.pts * frame.time_base):
                yield frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()


def _as_8_bit(pixels: Pixels) -> Frame:
    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return rgb if rgb.dtype == np.uint8 else np.rint(rgb / white(rgb.dtype) * 255).astype(np.uint8)


def _side_by_side(films: Mapping[str, Iterable[Frame]]) -> Iterator[dict[str, Frame]]:
    """Yield the frames of all films that are shown at the same time."""
    for number, frames in enumerate(zip_longest(*films.values())):
        together = dict(zip(films, frames, strict=True))
        ended = [name for name, frame in together.items() if frame is None]
        if ended:
            longer = ", ".join(name for name in films if name not in ended)
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
    """Return where each pixel was in the frame before, relative to it, ``(H, W, 2)``, and which can be followed."""
    old, new = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    # The stubs do not know that a motion to begin with may be absent.
    back, forth = search.calc(new, old, None), search.calc(old, new, None)  # type: ignore[call-overload]
    returned = _warp(forth, back)
    length = _squared(back)
    hidden = _squared(back + returned) > 0.01 * (length + _squared(returned)) + 0.5
    broken = sum(_squared(slope) for slope in np.gradient(back, axis=(0, 1))) > 0.01 * length + 0.002
    places = _places(back)
    outside = (places < 0).any(-1) | (places > np.array(new.shape[::-1]) - 1).any(-1)
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
    """Return ``image`` sampled bilinearly at each pixel's place plus its motion."""
    columns, rows = cv2.split(_places(motion))
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _places(motion: np.ndarray) -> np.ndarray:
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
