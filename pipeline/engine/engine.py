"""The engine: runs a chain over images on any device, in any precision, within the available memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.backends.choice import choose_backend
from pipeline.backends.preparation import label_of, prepare
from pipeline.backends.wrapper import NamedStage
from pipeline.chain.chain import Chain
from pipeline.chain.config import StageStrength
from pipeline.condition.condition import Condition
from pipeline.device.computing import choose_precision
from pipeline.device.find import find_device
from pipeline.device.memory import is_out_of_memory, release
from pipeline.device.precision import PRECISIONS
from pipeline.device.process import keep_freed_memory
from pipeline.engine.attempt import Attempt
from pipeline.engine.canvas import Canvas, FrameCanvas, Image, PixelCanvas
from pipeline.engine.condition import measure_frame, measure_image
from pipeline.engine.restoration import Restoration
from pipeline.engine.tensors import checked
from pipeline.engine.work_size import WorkSize
from pipeline.errors import ConfigError
from pipeline.pixels import Pixels


class Engine:
    """A chain prepared to run on a device.

    The chain's modules are moved to the device, so a chain serves one device at a time.

    Args:
        chain: What to run.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the fastest available.
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8`` (by OpenVINO, in the stages that it serves well), or
            ``auto``: fp16 on a GPU for 8-bit pixels, else fp32.
        tile: Longest side in pixels of the input; 0 for whole images, ``auto`` for the largest that fits into memory.
        backend: ``torch``, ``ncnn``, ``openvino``, or ``auto`` on a CPU for the fastest one of each network.
        compile: ``on``, ``off``, or ``auto`` for shapes that come often; on a CUDA device only.

    Raises:
        ConfigError: for an unknown or unavailable device, precision, tile or backend.
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
        self.condition: Condition | None = None
        self._work_size = WorkSize(self.chain, self.device, tile)

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

        For speed, the process keeps freed memory from then on, as the command line's does.

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
        keep_freed_memory()
        return cls(Chain.load(path), device=device, precision=precision, tile=tile, backend=backend, compile=compile)

    def with_strengths(self, strengths: Mapping[str, StageStrength]) -> Engine:
        """Return an engine that shares this one's prepared stages and runs those named at other strengths.

        Raises:
            ConfigError: for a name that no stage has, or a strength that is neither 0 to 1 nor ``auto``.
        """
        other = copy(self)
        other.chain = self.chain.with_strengths(strengths)
        other._work_size = self._work_size.for_chain(other.chain)
        return other

    def for_image(self, pixels: Pixels, luma_table: Sequence[int] = ()) -> Engine:
        """Return an engine whose strengths fit an image: this one where none is ``auto``.

        Args:
            pixels: As of ``run``.
            luma_table: Of a JPEG file: the 64 steps by which its luma was quantised.

        Raises:
            TypeError: as ``run``.
            ValueError: likewise.
        """
        return self.adapted_to(measure_image(pixels, luma_table)) if self.chain.automatic else self

    def adapted_to(self, condition: Condition) -> Engine:
        """Return an engine that shares this one's prepared stages, with every ``strength: auto`` chosen.

        The tile size stays that of full strength, which takes the most memory.
        """
        other = copy(self)
        other.chain = self.chain.for_condition(condition)
        other.condition = condition
        return other

    def run(
        self, pixels: Pixels, *, keep_stages: bool = False, watch: Callable[[float], None] = lambda share: None
    ) -> Restoration[Pixels]:
        """Restore one image. Where strengths are ``auto``, they are chosen by what is measured of it.

        Args:
            pixels: RGB ``(H, W, 3)`` or gray ``(H, W)``; uint8, uint16, or float, clamped to ``[0, 1]``.
            keep_stages: Return the image after every stage, too.
            watch: Called after every stage of every tile with the share that is done, from the start again where
                memory ran out. What it raises ends the run.

        Returns:
            Pixels of the same dtype (float64 becomes float32) and channels, ``chain.scale`` times larger.

        Raises:
            TypeError: for any other dtype.
            ValueError: for any other shape, or for floats that are not finite or on another scale.
            OutOfMemory: if not even the smallest tile fits.
            RestorationError: if a stage's result is not finite even in fp32.
        """
        pixels = checked(pixels)
        if self.chain.automatic:
            return self.for_image(pixels).run(pixels, keep_stages=keep_stages, watch=watch)
        scales = self._scales(self.chain.names[0 if keep_stages else -1 :])
        precision = choose_precision(self.precision, self.device, pixels.dtype)
        return self._run(lambda: PixelCanvas(pixels, scales, self.device), precision, keep_stages, watch)

    def parts(self) -> list[Engine]:
        """Return an engine for each of the chain's parts, which a video's frames pass one after another.

        They share this one's prepared stages; each has batches and tiles of its own.
        """
        parts = []
        for chain in self.chain.parts():
            part = copy(self)
            part.chain = chain
            part._work_size = self._work_size.for_chain(chain)
            parts.append(part)
        return parts

    def run_frames(self, frames: Tensor, *, windows: Tensor | None = None, depth: int = 8) -> Restoration[Tensor]:
        """Restore frames on the device; the results stay there. Strengths that are ``auto`` follow the first frame.

        Args:
            frames: ``(B, 3, H, W)`` in ``[0, 1]``; any number of them, run in batches that fit into memory.
            windows: For a part of a chain that uses neighbouring frames: a row for each frame to restore,
                ``(N, 2 * radius + 1)``, of the indices in ``frames`` of the frames around it, itself in the middle.
            depth: Bits a channel that the frames were made from; decides the precision.

        Raises:
            OutOfMemory: if not even the smallest tile of one frame fits.
            RestorationError: if a stage's result is not finite even in fp32.
        """
        if self.chain.automatic:
            return self.adapted_to(measure_frame(frames[:1])).run_frames(frames, windows=windows, depth=depth)
        precision = choose_precision(self.precision, self.device, np.dtype(np.uint8 if depth == 8 else np.uint16))
        scales = self._scales(self.chain.names[-1:])
        return self._run(lambda: FrameCanvas(frames, scales, windows), precision, keep_stages=False)

    def _run(
        self,
        make_canvas: Callable[[], Canvas[Image]],
        precision: str,
        keep_stages: bool,
        watch: Callable[[float], None] = lambda share: None,
    ) -> Restoration[Image]:
        """Run the chain over a canvas; with a smaller batch or tile, from the start, when memory runs out."""
        frames, height, width = make_canvas().shape
        batch, tile = self._work_size.first(frames, height, width)
        retries = 0
        while True:
            try:
                return self._restore(make_canvas(), precision, batch, tile, retries, keep_stages, watch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            # Outside of the except block, because the error's traceback holds on to the tensors.
            batch, tile = self._work_size.smaller(batch, tile or max(height, width), reason)
            retries += 1
            release(self.device)

    def _restore(
        self,
        canvas: Canvas[Image],
        precision: str,
        batch: int,
        tile: int,
        retries: int,
        keep_stages: bool,
        watch: Callable[[float], None],
    ) -> Restoration[Image]:
        attempt = Attempt(self.chain, self.device, precision, canvas, watch)
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
            noise_levels=self.chain.given_noise_levels
            | {name: round(255 * values.mean().item(), 2) for name, values in attempt.measured.items()},
            strengths=dict(zip(self.chain.names, self.chain.strengths, strict=True)),
            condition=self.condition,
            blurs=attempt.blurs,
        )

    def _scales(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self.chain.scales[name] for name in names}


def named_stages(chain: Chain) -> list[NamedStage]:
    """Return a chain's stages with the names and options that back ends need."""
    return [
        NamedStage(name, stage, str(config.architecture()), runs=strength > 0)
        for name, stage, config, strength in zip(
            chain.names, chain.stages, chain.config.stages, chain.strengths, strict=True
        )
    ]
