"""Sources of frames: a video file, or a folder of image files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline.condition.condition import Condition
from pipeline.device.transfer import up
from pipeline.engine.condition import measure_frame
from pipeline.engine.tensors import to_tensor
from pipeline.errors import BrokenVideo, ConfigError, ImageError, RefusedVideo
from pipeline.images import READABLE, read_image, read_size
from pipeline.pixels import Pixels
from pipeline.video.colour import YUV, Planes
from pipeline.video.notes import Note, Warn
from pipeline.video.options import VideoOptions
from pipeline.video.planes import to_planes
from pipeline.video.probe import ALPHA_DROPPED, Colours, Footage, probe
from pipeline.video.reader import DecodedFrame, read_frames_in_order
from pipeline.video.size_changes import refuse_changing_size
from pipeline.video.window import window_of

Read = TypeVar("Read")


class VideoSource(Protocol):
    """Frames in display order.

    Attributes:
        footage: Their properties.
        file: The video file, from which audio and all other streams are copied; None for a folder.
    """

    footage: Footage
    file: Path | None

    def check(self) -> None:
        """Read as much as shows whether all frames can be restored; raise ImageError if not."""

    def frames(self, since: int | None, warn: Warn) -> Iterator[DecodedFrame]:
        """Yield the frames from a timestamp in ticks on; ``warn`` is called for each defect of the source."""

    def to_rgb(self, frames: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ``(B, 3, H, W)`` in ``[0, 1]`` on the device, and the excess of values outside of that range."""


class VideoFile:
    """The main video stream of a file."""

    def __init__(self, path: Path, options: VideoOptions) -> None:
        self.footage = probe(path)
        self.file: Path | None = path
        self._options = options
        if self.footage.interlaced and not options.deinterlace:
            raise RefusedVideo("is interlaced, expected progressive frames or the option deinterlace")

    def check(self) -> None:
        """Refuse a video whose frames change their size."""
        assert self.file is not None
        options = self._options
        window = window_of(self.footage.begin, options.start, options.duration)
        refuse_changing_size(self.file, self.footage, window)

    def frames(self, since: int | None, warn: Warn) -> Iterator[DecodedFrame]:
        """Decode from the keyframe before ``since``."""
        assert self.file is not None
        deinterlace = self._options.deinterlace and self.footage.interlaced
        return read_frames_in_order(self.file, self.footage, since=since, deinterlace=deinterlace, warn=warn)

    def to_rgb(self, frames: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Upload planes and convert them there."""
        planes = to_planes([frame.frame for frame in frames], self.footage.layout)
        return self.footage.layout.to_rgb(Planes(*(up(plane, device) for plane in planes)))


class FrameFolder:
    """Image files of one size, ordered by the numbers in their names; ``options.fps`` defaults to 1."""

    def __init__(self, folder: Path, options: VideoOptions) -> None:
        self.paths = frame_paths(folder)
        self.file: Path | None = None
        if not self.paths:
            raise RefusedVideo("contains no image files")
        image = _of_frame(self.paths[0], read_image)
        first = image.pixels
        rate = parse_fps(options.fps or "1")
        self.footage = Footage(
            size=(first.shape[1], first.shape[0]),
            layout=YUV(8 if first.dtype == np.uint8 else 10, 1, full_range=False, halved=(True, True)),
            colours=Colours(matrix=1, primaries=1, transfer=13, range=1),
            rate=rate,
            time_base=1 / rate,
            begin=Fraction(0),
            duration=len(self.paths) / rate,
            losses=(ALPHA_DROPPED,) if image.transparent else (),
        )

    def check(self) -> None:
        """Refuse images of different sizes, by their headers."""
        for path in self.paths:
            self._refuse_other_size(path, *_of_frame(path, read_size))

    def frames(self, since: int | None = None, warn: Warn = lambda what, where: None) -> Iterator[DecodedFrame]:
        """Read the images from index ``since`` on; warn of missing numbers."""
        for gap in _gaps(self.paths):
            warn(*gap)
        for index, path in enumerate(self.paths):
            if since is None or index >= since:
                yield DecodedFrame(self._read(path), index, 1)

    def to_rgb(self, frames: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Upload pixels; the excess of images is zero."""
        image = torch.cat([to_tensor(frame.frame, device) for frame in frames])
        return image, torch.zeros_like(image)

    def _read(self, path: Path) -> Pixels:
        pixels = _of_frame(path, read_image).pixels
        self._refuse_other_size(path, *pixels.shape[1::-1])
        return pixels

    def _refuse_other_size(self, path: Path, width: int, height: int) -> None:
        if (width, height) != self.footage.size:
            expected = "{} x {}".format(*self.footage.size)
            raise RefusedVideo(f"{path.name} has {width} x {height} pixels, expected {expected} as the first frame has")


def measure_first_frame(path: Path) -> Condition:
    """Measure the first frame of a video file.

    Raises:
        ImageError: if it cannot be decoded.
    """
    source = VideoFile(path, VideoOptions(deinterlace=True))
    for frame in source.frames(None, lambda *note: None):
        image, _ = source.to_rgb([frame], torch.device("cpu"))
        return measure_frame(image)
    raise BrokenVideo("has no frames")


def _of_frame(path: Path, read: Callable[[Path], Read]) -> Read:
    """Read an image of a folder; an error names it."""
    try:
        return read(path)
    except ImageError as error:
        raise BrokenVideo(f"{path.name} {error}", error.reason) from error


def frame_paths(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, ordered by the numbers in their names: 2 before 10."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in READABLE and not path.name.startswith(".")]
    return sorted(found, key=lambda path: [part.zfill(20) for part in re.findall(r"\d+|\D+", path.name)])


def frame_number(path: Path) -> int:
    """Return the last number in a file's name; -1 if there is none."""
    return int((re.findall(r"\d+", path.stem) or ["-1"])[-1])


def _gaps(paths: Sequence[Path]) -> Iterator[Note]:
    """Yield a note for each step between numbers that is larger than the smallest one."""
    steps = [frame_number(following) - frame_number(path) for path, following in pairwise(paths)]
    usual = min((step for step in steps if step > 0), default=1)
    for step, (path, following) in zip(steps, pairwise(paths), strict=True):
        if step > usual:
            yield "frames are missing and were skipped", f"between {path.name} and {following.name}"


def parse_fps(text: str) -> Fraction:
    """Parse frames per second: ``25``, ``23.976`` or ``24000/1001``.

    Raises:
        ConfigError: for any other text.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise ConfigError(f"fps: got {text!r}, expected frames per second such as 25 or 24000/1001")
    return rate
