"""Where frames come from: a video file, or a folder of pictures that are frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.device.transfer import up
from pipeline.engine.tensors import to_tensor
from pipeline.errors import BrokenVideo, ConfigError, ImageError, RefusedVideo
from pipeline.images import WRITABLE, read_image
from pipeline.images.image_file import ImageFile
from pipeline.pixels import Pixels
from pipeline.video.colour import YUV, Planes
from pipeline.video.options import VideoOptions
from pipeline.video.planes import to_planes
from pipeline.video.probe import ALPHA_LEFT_BEHIND, Colours, Footage, probe
from pipeline.video.reader import DecodedFrame, read_frames_in_order


class VideoSource(Protocol):
    """Frames in the order of showing.

    Attributes:
        footage: What they are.
        beside: The file with sound and all the rest; None if there is none.
    """

    footage: Footage
    beside: Path | None

    def shots(self, since: int | None, tell: Callable[[str], None]) -> Iterator[DecodedFrame]:
        """Yield the frames that are shown at a tick or later."""

    def to_rgb(self, shots: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ``(B, 3, H, W)`` in ``[0, 1]`` on the device, and what of the frames lies beyond."""


class VideoFile:
    """The film in a video file."""

    def __init__(self, path: Path, options: VideoOptions) -> None:
        self.footage = probe(path)
        self.beside: Path | None = path
        self._options = options
        if self.footage.interlaced and not options.deinterlace:
            raise RefusedVideo("is interlaced; restore it with --deinterlace")

    def shots(self, since: int | None, tell: Callable[[str], None]) -> Iterator[DecodedFrame]:
        """Decode from the key frame before ``since``."""
        assert self.beside is not None
        deinterlace = self._options.deinterlace and self.footage.interlaced
        return read_frames_in_order(self.beside, self.footage, since=since, deinterlace=deinterlace, tell=tell)

    def to_rgb(self, shots: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Upload planes and convert them there."""
        planes = to_planes([shot.frame for shot in shots], self.footage.layout)
        return self.footage.layout.to_rgb(Planes(*(up(plane, device) for plane in planes)))


class FrameFolder:
    """Pictures of one size, in the order of the numbers in their names; without ``options.fps``, one a second."""

    def __init__(self, folder: Path, options: VideoOptions) -> None:
        self.paths = frame_paths(folder)
        self.beside: Path | None = None
        if not self.paths:
            raise RefusedVideo("holds no pictures that could be frames")
        picture = _picture(self.paths[0])
        first = picture.pixels
        rate = parse_fps(options.fps or "1")
        self.footage = Footage(
            size=(first.shape[1], first.shape[0]),
            layout=YUV(8 if first.dtype == np.uint8 else 10, 1, full_range=False, halved=(True, True)),
            colours=Colours(matrix=1, primaries=1, transfer=13, range=1),
            rate=rate,
            time_base=1 / rate,
            begin=Fraction(0),
            duration=len(self.paths) / rate,
            notes=(ALPHA_LEFT_BEHIND,) if picture.transparent else (),
        )

    def shots(
        self, since: int | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> Iterator[DecodedFrame]:
        """Read the pictures from number ``since`` on; tell where numbers are left out."""
        for gap in _gaps(self.paths):
            tell(gap)
        for index, path in enumerate(self.paths):
            if since is None or index >= since:
                yield DecodedFrame(self._read(path), index, 1)

    def to_rgb(self, shots: Sequence[DecodedFrame], device: torch.device) -> tuple[Tensor, Tensor]:
        """Upload pixels; nothing of a picture lies beyond RGB."""
        image = torch.cat([to_tensor(shot.frame, device) for shot in shots])
        return image, torch.zeros_like(image)

    def _read(self, path: Path) -> Pixels:
        pixels = _picture(path).pixels
        if pixels.shape[1::-1] != self.footage.size:
            width, height = self.footage.size
            came = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise RefusedVideo(f"{path.name} has {came} pixels, expected {width} x {height} as the first frame has")
        return pixels


def _picture(path: Path) -> ImageFile:
    try:
        return read_image(path)
    except ImageError as error:
        raise BrokenVideo(f"{path.name} {error}") from error


def frame_paths(folder: Path) -> list[Path]:
    """Return the pictures right in a folder, by the numbers in their names: 2 before 10."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in WRITABLE and not path.name.startswith(".")]
    return sorted(found, key=lambda path: [part.zfill(20) for part in re.findall(r"\d+|\D+", path.name)])


def frame_number(path: Path) -> int:
    """Return the last number in a file's name; -1 where there is none."""
    return int((re.findall(r"\d+", path.stem) or ["-1"])[-1])


def _gaps(paths: Sequence[Path]) -> Iterator[str]:
    """Tell where numbers are further apart than anywhere else."""
    steps = [frame_number(following) - frame_number(path) for path, following in pairwise(paths)]
    usual = min((step for step in steps if step > 0), default=1)
    for step, (path, following) in zip(steps, pairwise(paths), strict=True):
        if step > usual:
            yield f"frames between {path.name} and {following.name} are missing; the film goes on without them"


def parse_fps(text: str) -> Fraction:
    """Return frames a second of ``25``, ``23.976`` or ``24000/1001``.

    Raises:
        ConfigError: for anything else.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise ConfigError(f"--fps: got {text!r}, expected frames a second such as 25 or 24000/1001")
    return rate
