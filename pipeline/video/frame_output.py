"""Every restored frame as a picture too: in a hidden folder first, which gets its name when all are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyvips

from pipeline.atomic import partial_folder
from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.images import ImageFile, write_image
from pipeline.pixels import Pixels
from pipeline.video.mark import is_marked, mark_anew, was_marked


class FrameOutput:
    """A folder of PNG files, ``000001.png`` and so on, that is either whole or not there.

    Args:
        folder: Where to.
        job: What determines every frame: input, chain, options.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self.folder = folder
        self._job = job
        self._partial = partial_folder(folder)

    def is_whole(self) -> bool:
        """Tell whether the frames of this very job are there."""
        return is_marked(self.folder, self._job)

    def begin(self) -> bool:
        """Make room for frames; tell whether those of a run that was killed are there to go on with.

        Raises:
            RefusedVideo: if the folder is there, and not of our making.
        """
        if self.folder.exists() and not was_marked(self.folder) and any(self.folder.iterdir()):
            raise RefusedVideo(f"{self.folder} is there already, and holds no frames of an earlier run; move it away")
        goes_on = is_marked(self._partial, self._job)
        if not goes_on:
            mark_anew(self._partial, self._job)
        return goes_on

    def save(self, number: int, pixels: Pixels) -> None:
        """Write a frame; they are numbered from 0."""
        write_image(self._partial / f"{number + 1:06}.png", ImageFile(pixels))

    def keep(self, frames: int, size: tuple[int, int]) -> None:
        """Give the folder its name, if so many frames of this width and height are in it.

        Raises:
            BrokenVideo: if not; the next run begins anew.
        """
        if fault := next(self._faults(frames, size), None):
            shutil.rmtree(self._partial)
            raise BrokenVideo(f"{self.folder} would hold {fault}; run it again")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._partial.replace(self.folder)

    def _faults(self, frames: int, size: tuple[int, int]) -> Iterator[str]:
        found = sorted(self._partial.glob("*.png"))
        if len(found) != frames:
            yield f"{len(found)} frames, expected {frames}"
        expected = f"{size[0]} x {size[1]} pixels"
        for path in found:
            if (came := _extent(path)) != expected:
                yield f"{came} in {path.name}, expected {expected}"


def _extent(path: Path) -> str:
    """Return the size of a picture in words; only the head of the file is read."""
    try:
        image = pyvips.Image.pngload(os.fsencode(path))
    except pyvips.Error:
        return "no picture"
    return f"{image.width} x {image.height} pixels"
