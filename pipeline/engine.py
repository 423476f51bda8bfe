"""Engine: runs a chain over pixels, on any device, in any precision, within the memory that there is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.device import PRECISIONS, Stopwatch, choose_precision, computing, find_device
from pipeline.errors import ConfigError, OutOfMemory, RestorationError
from pipeline.memory import bytes_per_pixel, free_memory, half_of, is_out_of_memory, largest_tile, release
from pipeline.pixels import Pixels, checked, cut, to_pixels, to_tensor
from pipeline.tiling import Region, needed_regions, scales_after, split

if TYPE_CHECKING:
    from pipeline.chain import Chain


@dataclass(frozen=True)
class Restoration:
    """A restored image and how it came about.

    Attributes:
        pixels: The restored image.
        stages: The image after every stage, by stage name; empty unless asked for.
        seconds: By stage name; stages at strength 0 included.
        tile: Side of the tiles in pixels of the input; 0 for the whole image at once.
        device: Where it ran.
        precision: ``fp32``, ``fp16`` or ``bf16``.
        fp32_retries: Tiles that half precision could not hold and that were run again in fp32.
        memory_retreats: Times that memory ran out and the image was begun again with smaller tiles.
    """

    pixels: Pixels
    stages: dict[str, Pixels]
    seconds: dict[str, float]
    tile: int
    device: str
    precision: str
    fp32_retries: int
    memory_retreats: int


class Engine:
    """A chain made ready to run.

    The chain's modules are moved to the device, so a chain serves one device at a time.

    Args:
        chain: What to run.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best there is.
        precision: ``fp32``, ``fp16``, ``bf16``, or ``auto``: fp16 on a GPU for 8-bit pixels, else fp32.
        tile: Side in pixels of the input; 0 for whole images, ``auto`` for the largest that fits into memory.

    Raises:
        ConfigError: for a device, precision or tile that there is not.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | Literal["auto"] = "auto",
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"--precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}")
        if tile != "auto" and tile < 0:
            raise ConfigError(f"--tile: got {tile}, expected pixels, 0 for the whole image, or auto")
        self.chain = chain
        self.device = find_device(device)
        self.precision = precision
        self.tile = tile
        # A tile that did not fit once is not tried again: the next image is likely to be as large.
        self._tile_limit: int | None = None
        for stage in chain.stages:
            stage.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, pixels: Pixels, *, keep_stages: bool = False) -> Restoration:
        """Restore one image.

        Args:
            pixels: RGB ``(H, W, 3)`` or gray ``(H, W)``; uint8, uint16, or float, clamped to ``[0, 1]``.
            keep_stages: Return the image after every stage, too.

        Returns:
            Pixels of the same dtype (float64 becomes float32) and channels, ``chain.scale`` times larger.

        Raises:
            TypeError: for any other dtype.
            ValueError: for any other shape, or for floats that are not finite.
            OutOfMemory: if not even the smallest tile fits.
            RestorationError: if a stage's result is not finite even in fp32.
        """
        pixels = checked(pixels)
        height, width = pixels.shape[:2]
        precision = choose_precision(self.precision, self.device, pixels.dtype)
        tile, retreats = self._first_tile(height, width), 0
        while True:
            try:
                return self._restore(pixels, precision, tile, retreats, keep_stages)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            # Outside of the except block, because the error's traceback holds on to the tensors.
            tile = self._tile_limit = self._smaller_tile(tile or max(height, width), reason)
            retreats += 1
            release(self.device)

    def _restore(self, pixels: Pixels, precision: str, tile: int, retreats: int, keep_stages: bool) -> Restoration:
        attempt = _Attempt(self.chain, self.device, precision, pixels, keep_stages)
        attempt.run(tile)
        return Restoration(
            pixels=attempt.canvases[self.chain.names[-1]],
            stages=attempt.canvases if keep_stages else {},
            seconds=attempt.stopwatch.seconds(),
            tile=tile,
            device=str(self.device),
            precision=precision,
            fp32_retries=attempt.fp32_retries,
            memory_retreats=retreats,
        )

    def _first_tile(self, height: int, width: int) -> int:
        """Return the tile to begin with; 0 for the whole image."""
        longest = max(height, width)
        if self.chain.halo is None:
            return 0
        if self.tile == "auto":
            tile = largest_tile(height, width, self.chain.footprints, self._costs, free_memory(self.device))
        else:
            tile = self.tile or longest
        tile = min(tile, self._tile_limit or tile)
        return tile if tile < longest else 0

    def _smaller_tile(self, tile: int, reason: str) -> int:
        smaller = half_of(tile)
        if smaller is not None and self.chain.halo is not None:
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
    def _costs(self) -> list[float]:
        return [
            bytes_per_pixel(stage, self.device) if strength else 0.0
            for stage, strength in zip(self.chain.stages, self.chain.strengths, strict=True)
        ]


class _Attempt:
    """One image, run once with one tile size.

    Attributes:
        canvases: What was made so far, by name of the stages whose pictures are wanted.
    """

    def __init__(self, chain: Chain, device: torch.device, precision: str, pixels: Pixels, keep_stages: bool) -> None:
        self.chain = chain
        self.device = device
        self.precision = precision
        self.pixels = pixels
        self.scales = dict(zip(chain.names, scales_after(chain.footprints), strict=True))
        self.canvases = {name: self._canvas(self.scales[name]) for name in chain.names[0 if keep_stages else -1 :]}
        self.stopwatch = Stopwatch(device)
        self.fp32_retries = 0

    def run(self, tile: int) -> None:
        """Fill the canvases, tile by tile."""
        for region in split(self.pixels.shape[0], self.pixels.shape[1], tile):
            made = self._make(region)
            for name, pixels in made.items():
                self.canvases[name][region.scaled(self.scales[name]).slices] = pixels

    def _make(self, tile: Region) -> dict[str, Pixels]:
        """Return a tile's pixels by stage, from fp32 where half precision cannot hold them."""
        made, lost = self._compute(tile, self.precision)
        if lost and self.precision != "fp32":
            self.fp32_retries += 1
            made, lost = self._compute(tile, "fp32")
        if lost:
            raise RestorationError(
                f"stage {lost[0]!r} made values that are not finite, in fp32 too; its weights are damaged"
            )
        return made

    def _compute(self, tile: Region, precision: str) -> tuple[dict[str, Pixels], list[str]]:
        """Return a tile's pixels by stage, and the stages whose results are not finite."""
        height, width = self.pixels.shape[:2]
        regions = needed_regions(tile, self.chain.footprints, height, width)
        made: dict[str, Pixels] = {}
        finite: list[Tensor] = []
        with computing(self.device, precision):
            image = to_tensor(cut(self.pixels, regions[0]), self.device)
            for index, name in enumerate(self.chain.names):
                given, needed = regions[index].scaled(self.chain.footprints[index].scale), regions[index + 1]
                with self.stopwatch.lap(name):
                    image = _crop(self.chain.run_stage(index, image), needed, given)
                    finite.append(image.isfinite().all())
                    image = image.clamp(0, 1)
                if name in self.canvases:
                    made[name] = self._download(_crop(image, tile.scaled(self.scales[name]), needed))
            # Asked once for all stages: on a GPU every question waits for the queue to empty.
            answers = torch.stack(finite).tolist()
        return made, [name for name, answer in zip(self.chain.names, answers, strict=True) if not answer]

    def _download(self, image: Tensor) -> Pixels:
        return to_pixels(image, self.pixels.dtype, gray=self.pixels.ndim == 2)

    def _canvas(self, scale: int) -> Pixels:
        height, width, *channels = self.pixels.shape
        return np.empty((height * scale, width * scale, *channels), self.pixels.dtype)


def _crop(image: Tensor, wanted: Region, covered: Region) -> Tensor:
    rows, columns = wanted.within(covered)
    return image[..., rows, columns]
