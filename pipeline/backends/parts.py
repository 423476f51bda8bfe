"""Split an image into parts that run in parallel, for an engine that does not keep all of its threads busy.

ncnn's threads share the channels of every layer in blocks of 16 or more, and wait for one another after it. With 48
channels one of two threads does two thirds of the work, and five of eight do nothing. Parts keep all threads busy; the
price is that their overlaps are computed twice.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

from pipeline.tiling import Footprint, Region, Span, needed_regions
from stages.stage import Stage

if TYPE_CHECKING:
    from pipeline.backends.conversion import Images, Run


def in_parts(run: Run, stage: Stage, at_once: int) -> Run:
    """Return a function that runs a stage's network on several images, or parts of them, in parallel.

    Args:
        run: Thread-safe, and releases the GIL.
        stage: Its halo is the overlap of the parts.
        at_once: Number of threads.
    """
    footprint = Footprint(stage.scale, stage.multiple_of, stage.halo)

    def run_parts(images: Images) -> Images:
        count, _, height, width = images.shape
        made = np.empty((count, 3, height * stage.scale, width * stage.scale), np.float32)

        def make(index: int, part: Region) -> None:
            given, wanted = needed_regions(part, [footprint], height, width)
            result = run(images[index : index + 1, :, *given.slices])
            made[index, :, *wanted.slices] = result[0, :, *wanted.within(given.scaled(stage.scale))]

        parts = _cut(height, width, -(-at_once // count), stage.halo)
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(make, *zip(*product(range(count), parts), strict=True)))
        return made

    return run_parts


def _cut(height: int, width: int, count: int, halo: int | None) -> list[Region]:
    """Cut an image across its longer side into ``count`` parts; fewer where they would be shorter than the halo."""
    length = max(height, width)
    count = 1 if halo is None else max(1, min(count, length // max(1, halo)))
    spans = [Span(*ends) for ends in pairwise(length * index // count for index in range(count + 1))]
    if width >= height:
        return [Region(Span(0, height), columns) for columns in spans]
    return [Region(rows, Span(0, width)) for rows in spans]
