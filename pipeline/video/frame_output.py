"""Write every restored frame as PNG, into a hidden folder that is renamed once it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import BrokenVideo, ImageError, RefusedVideo
from pipeline.images import ImageFile, read_size, write_image
from pipeline.pixels import Pixels
from pipeline.video.job_marker import is_marked, is_marked_for, recreate_for
from pipeline.video.orientation import Matrix, exchanges_sides, upright
from stages.atomic import partial_folder


class FrameOutput:
    """A folder of upright PNG files, ``000001.png`` and so on, that is either complete or absent.

    Args:
        folder: The final place of the frames.
        job: Identifies everything that determines the frames: input, chain, options.
        display_matrix: How the video is turned for display.
    """

    def __init__(self, folder: Path, job: str, display_matrix: Matrix | None = None) -> None:
        self.folder = folder
        self._matrix = display_matrix
        self._job = job
        self._partial = partial_folder(folder)

    def is_whole(self) -> bool:
        """Return whether the folder holds the complete frames of this job."""
        return is_marked_for(self.folder, self._job)

    def begin(self) -> bool:
        """Prepare the hidden folder; return whether it holds frames of an interrupted run of the same job.

        Raises:
            RefusedVideo: if the final folder exists and was not written by an earlier run.
        """
        if self.folder.exists() and not is_marked(self.folder) and any(self.folder.iterdir()):
            raise RefusedVideo(
                f"{self.folder} exists and was not written by an earlier run; move it away", "in the way"
            )
        resumes = is_marked_for(self._partial, self._job)
        if not resumes:
            recreate_for(self._partial, self._job)
        return resumes

    def save(self, number: int, pixels: Pixels) -> None:
        """Write the frame with this number, counted from 0."""
        turned = np.ascontiguousarray(upright(pixels, self._matrix))
        write_image(self._partial / f"{number + 1:06}.png", ImageFile(turned))

    def keep(self, frames: int, size: tuple[int, int]) -> None:
        """Rename the hidden folder if it holds this many frames of this width and height, as stored in the video.

        Raises:
            BrokenVideo: if it does not; the next run starts over.
        """
        if fault := next(self._faults(frames, size), None):
            shutil.rmtree(self._partial)
            raise BrokenVideo(f"{self.folder} is incomplete: {fault}; run it again")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._partial.replace(self.folder)

    def _faults(self, frames: int, size: tuple[int, int]) -> Iterator[str]:
        found = sorted(self._partial.glob("*.png"))
        if len(found) != frames:
            yield f"{len(found)} frames, expected {frames}"
        width, height = reversed(size) if exchanges_sides(self._matrix) else size
        expected = f"{width} x {height} pixels"
        for path in found:
            if (actual := _extent(path)) != expected:
                yield f"{actual} in {path.name}, expected {expected}"


def _extent(path: Path) -> str:
    """Return the size of a PNG file as text; only the header is read."""
    try:
        width, height = read_size(path)
    except ImageError:
        return "no readable image"
    return f"{width} x {height} pixels"
