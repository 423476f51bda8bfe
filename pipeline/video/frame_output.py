"""Every restored frame as a picture too: in a hidden folder first, which gets its name when all are there."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import BrokenVideo, RefusedVideo
from pipeline.images import Picture, write_picture
from pipeline.pixels import Pixels
from pipeline.results import partial_folder
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
        write_picture(self._partial / f"{number + 1:06}.png", Picture(pixels))

    def keep(self, frames: int | None) -> None:
        """Give the folder its name.

        Raises:
            BrokenVideo: if not all frames are there; the next run begins anew.
        """
        found = len(list(self._partial.glob("*.png")))
        if found != frames:
            shutil.rmtree(self._partial)
            raise BrokenVideo(f"{self.folder} would hold {found} frames, expected {frames}; run it again")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._partial.replace(self.folder)
