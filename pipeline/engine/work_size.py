"""How much is computed at once: frames per batch and tile size, reduced when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch

from pipeline.device.memory import longest_tile, memory_for_tiles, most_memory_for_tiles
from pipeline.engine.tile_size import SMALLEST_TILE, bytes_per_pixel, half_of, largest_tile
from pipeline.errors import OutOfMemory
from pipeline.tiling import scales_before, tiled_groups

if TYPE_CHECKING:
    from pipeline.chain.chain import Chain


class WorkSize:
    """Chooses the batch and tile size of a chain on a device.

    A size that did not fit is not tried again: the next image is likely to be as large.

    Args:
        chain: The chain.
        device: Where it runs.
        tile: Longest side in pixels of the input; 0 for whole images, ``auto`` for the largest that fits.
    """

    def __init__(self, chain: Chain, device: torch.device, tile: int | Literal["auto"]) -> None:
        self.chain = chain
        self.device = device
        self.tile = tile
        self._tile_limit: int | None = None
        self._batch_limit: int | None = None

    def for_chain(self, chain: Chain) -> WorkSize:
        """Return the same for another chain, with the limits found so far."""
        other = copy(self)
        other.chain = chain
        other.__dict__.pop("_costs", None)
        return other

    def first(self, frames: int, height: int, width: int) -> tuple[int, int]:
        """Return the batch and tile to begin with: as many whole frames as fit, else tiles of one; tile 0 is whole."""
        batch = min(frames, self._batch_limit or frames)
        while (tile := self._first_tile(height, width, batch)) and batch > 1:
            batch //= 2
        return batch, tile

    def smaller(self, batch: int, tile: int, reason: str) -> tuple[int, int]:
        """Return the batch and tile to try after a size that did not fit.

        Args:
            batch: Of the size that did not fit.
            tile: Likewise; the longer side of an image that was computed whole.
            reason: Text of the error.

        Raises:
            OutOfMemory: if there is no smaller size.
        """
        if batch > 1:
            self._batch_limit = batch // 2
            return self._batch_limit, 0
        self._tile_limit = self._smaller_tile(tile, reason)
        return batch, self._tile_limit

    def _first_tile(self, height: int, width: int, batch: int) -> int:
        longest = max(height, width)
        if not self._tiled:
            return 0
        tile = self._largest_tile(height, width, batch) if self.tile == "auto" else self.tile or longest
        tile = min(tile, self._tile_limit or tile)
        return tile if tile < longest else 0

    def _largest_tile(self, height: int, width: int, batch: int) -> int:
        """Return the largest tile, in pixels of the image, that fits into memory in every group of stages."""
        planned = memory_for_tiles(self.device) / batch
        most = most_memory_for_tiles(self.device) / batch
        longest = longest_tile(self.device)
        scales = scales_before(self.chain.footprints)
        tiles = []
        for stages in self._tiled:
            part, scale = slice(stages.start, stages.stop), scales[stages.start]
            size = height * scale, width * scale
            tile = largest_tile(*size, self.chain.footprints[part], self._costs[part], planned, most, longest)
            tiles.append(max(tile // scale, SMALLEST_TILE))
        return min(tiles)

    @property
    def _tiled(self) -> list[range]:
        """Groups of stages that do not need the whole image."""
        footprints = self.chain.footprints
        return [stages for stages in tiled_groups(footprints) if footprints[stages.start].halo is not None]

    def _smaller_tile(self, tile: int, reason: str) -> int:
        smaller = half_of(tile)
        if smaller is not None and self._tiled:
            return smaller
        untiled = [
            name
            for name, footprint in zip(self.chain.names, self.chain.footprints, strict=True)
            if footprint.halo is None
        ]
        cause = f"{', '.join(untiled)} needs the whole image" if untiled else f"tiles of {tile} px do not fit"
        raise OutOfMemory(
            f"out of memory on {self.device}: {cause}; close other programs, or choose another device or a "
            f"smaller chain ({reason.strip()[:200]})"
        )

    @cached_property
    def _costs(self) -> Sequence[float]:
        return [
            bytes_per_pixel(stage, self.device) if strength else 0.0
            for stage, strength in zip(self.chain.stages, self.chain.strengths, strict=True)
        ]
