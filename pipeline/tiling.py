"""Seam-free tiling: which region of the input each stage of a chain needs for a tile of the output.

The chain is traversed backwards: for an output tile, the last stage needs the same pixels of its input and ``halo``
pixels around them; the stage before it has to make those; and so on to the image. So only the first stage runs on the
tile with the whole halo of the chain, the last one on little more than the tile.

    image     [........................]     given to stage 1
    stage 1        [..............]          made by it, the rest cropped; given to stage 2
    stage 2             [....]               the tile

A stage that needs the whole image ends a group of stages that share tiles, and starts another.

Regions are in coordinates of the whole image at each size and are aligned there, so that every pooling or
unshuffling grid lies where it lies in the whole image; and they end where the image ends, so that a stage
meets the same border.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

TILE_STEP = 32


class Footprint(NamedTuple):
    """Scale, size constraint and halo of a stage; ``stages.stage.Stage`` defines them."""

    scale: int
    multiple_of: int
    halo: int | None


class Span(NamedTuple):
    """Rows or columns ``start`` to ``stop``, the last one excluded."""

    start: int
    stop: int

    def scaled(self, scale: int) -> Span:
        """Return the same part of an image that is ``scale`` times larger."""
        return Span(self.start * scale, self.stop * scale)

    @property
    def length(self) -> int:
        """Number of rows or columns."""
        return self.stop - self.start

    def within(self, outer: Span) -> slice:
        """Return where this span lies in an array that holds ``outer``."""
        return slice(self.start - outer.start, self.stop - outer.start)


class Region(NamedTuple):
    """A rectangle of pixels."""

    rows: Span
    columns: Span

    def scaled(self, scale: int) -> Region:
        """Return the same part of an image that is ``scale`` times larger."""
        return Region(self.rows.scaled(scale), self.columns.scaled(scale))

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.rows.length * self.columns.length

    @property
    def slices(self) -> tuple[slice, slice]:
        """Return the index of this region in an array of the whole image."""
        return slice(*self.rows), slice(*self.columns)

    def within(self, outer: Region) -> tuple[slice, slice]:
        """Return where this region lies in an array that holds ``outer``."""
        return self.rows.within(outer.rows), self.columns.within(outer.columns)


def total_scale(footprints: Sequence[Footprint]) -> int:
    """Return the output pixels per input pixel and axis of a whole chain."""
    return math.prod(footprint.scale for footprint in footprints)


def scales_before(footprints: Sequence[Footprint]) -> list[int]:
    """Return the scale of each stage's input relative to the image."""
    return [total_scale(footprints[:index]) for index in range(len(footprints))]


def scales_after(footprints: Sequence[Footprint]) -> list[int]:
    """Return the scale of each stage's output relative to the image."""
    return [total_scale(footprints[: index + 1]) for index in range(len(footprints))]


def total_multiple_of(footprints: Sequence[Footprint]) -> int:
    """Return what the image's sides must be multiples of to satisfy ``multiple_of`` of every stage."""
    return math.lcm(
        *(
            footprint.multiple_of // math.gcd(footprint.multiple_of, scale)
            for footprint, scale in zip(footprints, scales_before(footprints), strict=True)
        )
    )


def total_halo(footprints: Sequence[Footprint]) -> int | None:
    """Return the radius, in pixels of the image, of all that one output pixel depends on; None for the whole image.

    Alignment to ``multiple_of`` is not part of it: a grid in the image reaches a little further on one side.
    """
    total = 0
    for footprint, scale in zip(footprints, scales_before(footprints), strict=True):
        if footprint.halo is None:
            return None
        total += -(-footprint.halo // scale)
    return total


def tiled_groups(footprints: Sequence[Footprint]) -> list[range]:
    """Return the indices of the stages that can run one after another on the same tiles, first to last.

    A stage that needs the whole image is a group of its own.
    """
    borders = {0, len(footprints)}
    for index, footprint in enumerate(footprints):
        if footprint.halo is None:
            borders |= {index, index + 1}
    return [range(*pair) for pair in pairwise(sorted(borders))]


def padded_size(length: int, footprints: Sequence[Footprint]) -> int:
    """Return an image's height or width after padding for the chain."""
    return round_up(length, total_multiple_of(footprints))


def split(height: int, width: int, tile: int) -> Iterator[Region]:
    """Cut an image into equal parts of at most ``tile`` pixels a side; 0 leaves it whole."""
    for rows in _split(height, tile or height):
        for columns in _split(width, tile or width):
            yield Region(rows, columns)


def equal_part(length: int, tile: int) -> int:
    """Return the length of the parts when a length is cut into as few parts of at most ``tile`` as possible.

    It is a multiple of ``TILE_STEP`` where ``tile`` allows: then the stages' grids lie alike in all parts, and all
    parts need regions of the same size.
    """
    count = -(-length // tile)
    return min(tile, round_up(-(-length // count), TILE_STEP))


def needed_regions(tile: Region, footprints: Sequence[Footprint], height: int, width: int) -> list[Region]:
    """Compute the regions that a chain needs for a tile, from its last stage to its first.

    Args:
        tile: The part of the image that is to be restored, in pixels of the image.
        footprints: The chain's stages, first to last.
        height: Of the image, not padded.
        width: Of the image, not padded.

    Returns:
        For each stage the region of its own input that it must be given, then the region of the output. The
        first may reach beyond the image's right and bottom, by less than the chain's ``multiple_of``.
    """
    rows = _needed_spans(tile.rows, footprints, padded_size(height, footprints))
    columns = _needed_spans(tile.columns, footprints, padded_size(width, footprints))
    return [Region(*spans) for spans in zip(rows, columns, strict=True)]


def _split(length: int, tile: int) -> list[Span]:
    side = equal_part(length, tile)
    return [Span(start, min(start + side, length)) for start in range(0, length, side)]


def _needed_spans(tile: Span, footprints: Sequence[Footprint], length: int) -> list[Span]:
    spans = [tile.scaled(total_scale(footprints))]
    for footprint, scale in zip(reversed(footprints), reversed(scales_before(footprints)), strict=True):
        spans.append(_needed_span(spans[-1], footprint, length * scale))
    return spans[::-1]


def _needed_span(made: Span, footprint: Footprint, length: int) -> Span:
    """Return the part of its input, ``length`` long in all, that a stage needs to make ``made`` of its output."""
    if footprint.halo is None:
        return Span(0, length)
    start = made.start // footprint.scale - footprint.halo
    stop = -(-made.stop // footprint.scale) + footprint.halo
    aligned_start = start // footprint.multiple_of * footprint.multiple_of
    return Span(max(0, aligned_start), min(length, round_up(stop, footprint.multiple_of)))


def round_up(length: int, multiple: int) -> int:
    """Return the smallest multiple that is not less than ``length``."""
    return -(-length // multiple) * multiple
