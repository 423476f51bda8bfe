"""Engine: runs a chain over pixels, on any device, in any precision, within the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.backends.choice import choose_backend
from pipeline.backends.preparation import forget_compiled, label_of, prepare
from pipeline.backends.wrapper import NamedStage
from pipeline.chain.chain import Chain
from pipeline.device.computing import choose_precision
from pipeline.device.find import find_device
from pipeline.device.memory import is_out_of_memory, memory_for_tiles, release
from pipeline.device.precision import PRECISIONS
from pipeline.engine.attempt import Attempt
from pipeline.engine.canvas import Canvas, FrameCanvas, Image, PixelCanvas
from pipeline.engine.tensors import checked
from pipeline.engine.tile_size import bytes_per_pixel, half_of, largest_tile
from pipeline.errors import ConfigError, OutOfMemory
from pipeline.pixels import Pixels


@dataclass(frozen=True)
class Restoration(Generic[Image]):
    """A restored image, or batch of frames, and how it came about.

    Attributes:
        pixels: The restored image.
        stages: The image after every stage, by stage name; empty unless asked for.
        seconds: By stage name; stages at strength 0 included.
        tile: Longest side of the tiles in pixels of the input; 0 for the whole image at once.
        device: Where it ran.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        backends: By stage name: ``torch``, ``torch compiled in 9.5 s``, ``ncnn``, ``openvino``, or
            ``openvino int8|bf16``.
        fp32_retries: Tiles that half precision could not hold and that were run again in fp32.
        memory_retries: Times that memory ran out and the image was begun again with smaller tiles.
    """

    pixels: Image
    stages: dict[str, Image]
    seconds: dict[str, float]
    tile: int
    device: str
    precision: str
    backends: dict[str, str]
    fp32_retries: int
    memory_retries: int


class Engine:
    """A chain made ready to run.

    The chain's modules are moved to the device, so a chain serves one device at a time.

    Args:
        chain: What to run.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best there is.
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8`` (by OpenVINO, in the stages that it serves well), or
            ``auto``: fp16 on a GPU for 8-bit pixels, else fp32.
        tile: Longest side in pixels of the input; 0 for whole images, ``auto`` for the largest that fits into memory.
        backend: ``torch``, ``ncnn``, ``openvino``, or ``auto`` for what is fastest on a CPU of those installed.
        compile: ``on``, ``off``, or ``auto`` for shapes that come often; on a CUDA device only.

    Raises:
        ConfigError: for a device, precision, tile or backend that there is not.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | Literal["auto"] = "auto",
        backend: str = "torch",
        compile: str = "off",
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}")
        if tile != "auto" and tile < 0:
            raise ConfigError(f"tile: got {tile}, expected pixels, 0 for the whole image, or auto")
        self.device = find_device(device)
        self.backend = choose_backend(backend, self.device, precision)
        for stage in chain.stages:
            stage.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.chain = chain.with_stages(prepare(named_stages(chain), self.backend, precision, compile, self.device))
        self.precision = precision
        self.tile = tile
        # What did not fit once is not tried again: the next image is likely to be as large.
        self._tile_limit: int | None = None
        self._batch_limit: int | None = None

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | Literal["auto"] = "auto",
        backend: str = "auto",
        compile: str = "auto",
    ) -> Engine:
        """Read a chain's YAML and its weights and make them ready to run, as the command line does.

        Args:
            path: The YAML.
            device: As of ``Engine``, like all that follow.
            precision: Likewise.
            tile: Likewise.
            backend: Likewise.
            compile: Likewise.

        Raises:
            ConfigError: with one line per error of the file; or as ``Engine``.
        """
        return cls(Chain.load(path), device=device, precision=precision, tile=tile, backend=backend, compile=compile)

    def with_strengths(self, strengths: Mapping[str, float]) -> Engine:
        """Return an engine that shares this one's prepared stages and runs those named at other strengths.

        Raises:
            ConfigError: for a name that no stage has, or a strength outside 0 to 1.
        """
        other = copy(self)
        other.chain = self.chain.with_strengths(strengths)
        other.__dict__.pop("_costs", None)
        return other

    def run(self, pixels: Pixels, *, keep_stages: bool = False) -> Restoration[Pixels]:
        """Restore one image.

        Args:
            pixels: RGB ``(H, W, 3)`` or gray ``(H, W)``; uint8, uint16, or float, clamped to ``[0, 1]``.
            keep_stages: Return the image after every stage, too.

        Returns:
            Pixels of the same dtype (float64 becomes float32) and channels, ``chain.scale`` times larger.

        Raises:
            TypeError: for any other dtype.
            ValueError: for any other shape, or for floats that are not finite or on another scale.
            OutOfMemory: if not even the smallest tile fits.
            RestorationError: if a stage's result is not finite even in fp32.
        """
        pixels = checked(pixels)
        scales = self._scales(self.chain.names[0 if keep_stages else -1 :])
        precision = choose_precision(self.precision, self.device, pixels.dtype)
        return self._run(lambda: PixelCanvas(pixels, scales, self.device), precision, keep_stages)

    def run_frames(self, frames: Tensor, *, depth: int = 8) -> Restoration[Tensor]:
        """Restore frames that are on the device, and leave the results there.

        Args:
            frames: ``(B, 3, H, W)`` in ``[0, 1]``; any number of them, worked in batches that fit into memory.
            depth: Bits a channel that the frames were made from; decides the precision.

        Raises:
            OutOfMemory: if not even the smallest tile of one frame fits.
            RestorationError: if a stage's result is not finite even in fp32.
        """
        precision = choose_precision(self.precision, self.device, np.dtype(np.uint8 if depth == 8 else np.uint16))
        scales = self._scales(self.chain.names[-1:])
        return self._run(lambda: FrameCanvas(frames, scales), precision, keep_stages=False)

    def _run(self, make_canvas: Callable[[], Canvas[Image]], precision: str, keep_stages: bool) -> Restoration[Image]:
        """Run the chain over a canvas, anew with less at once where memory runs out."""
        frames, height, width = make_canvas().shape
        batch, tile = self._first_size(frames, height, width)
        retries = 0
        while True:
            try:
                return self._restore(make_canvas(), precision, batch, tile, retries, keep_stages)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            # Outside of the except block, because the error's traceback holds on to the tensors.
            if batch > 1:
                batch = self._batch_limit = batch // 2
            else:
                tile = self._tile_limit = self._smaller_tile(tile or max(height, width), reason)
            retries += 1
            forget_compiled(self.chain.stages, self.device)
            release(self.device)

    def _restore(
        self, canvas: Canvas[Image], precision: str, batch: int, tile: int, retries: int, keep_stages: bool
    ) -> Restoration[Image]:
        attempt = Attempt(self.chain, self.device, precision, canvas)
        attempt.run(batch, tile)
        return Restoration(
            pixels=canvas.made[self.chain.names[-1]],
            stages=canvas.made if keep_stages else {},
            seconds=attempt.stopwatch.seconds(),
            tile=tile,
            device=str(self.device),
            precision=precision,
            backends={name: label_of(stage) for name, stage in zip(self.chain.names, self.chain.stages, strict=True)},
            fp32_retries=attempt.fp32_retries,
            memory_retries=retries,
        )

    def _scales(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self.chain.scales[name] for name in names}

    def _first_size(self, frames: int, height: int, width: int) -> tuple[int, int]:
        """Return how many frames and which tile to begin with: as many whole frames as fit, else tiles of one."""
        batch = min(frames, self._batch_limit or frames)
        while (tile := self._first_tile(height, width, batch)) and batch > 1:
            batch //= 2
        return batch, tile

    def _first_tile(self, height: int, width: int, batch: int) -> int:
        """Return the tile to begin with; 0 for the whole image."""
        longest = max(height, width)
        if self.chain.halo is None:
            return 0
        if self.tile == "auto":
            available = memory_for_tiles(self.device) / batch
            tile = largest_tile(height, width, self.chain.footprints, self._costs, available)
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


def named_stages(chain: Chain) -> list[NamedStage]:
    """Return a chain's stages as back ends are given them."""
    return [
        NamedStage(name, stage, str(config.architecture()), runs=strength > 0)
        for name, stage, config, strength in zip(
            chain.names, chain.stages, chain.config.stages, chain.strengths, strict=True
        )
    ]
