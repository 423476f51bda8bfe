"""Write heat maps and the receptive field of one stage of a chain, for each image.

OUTPUT/photo.jpg.attention/unet.png                     all levels on one sheet
                           unet_1_encoder.0.png ...     each over the image, at the size of the stage's input
                           unet_receptive_field.png     how far around a pixel it depends on
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, no_such_stage
from pipeline.chain.yaml_validation import did_you_mean
from pipeline.device.memory import SHARE_OF_FREE, free_memory, is_out_of_memory
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import checked, cut, to_tensor
from pipeline.errors import ConfigError, OutOfMemory
from pipeline.images import write_image
from pipeline.images.image_file import ImageFile
from pipeline.inspection.attention import bytes_kept_per_pixel, heat_maps, squared_change
from pipeline.inspection.heat_maps import contact_sheet, overlay, receptive_field_plot, rendered, to_bytes
from pipeline.inspection.levels import find_levels, find_maps
from pipeline.inspection.receptive_field import radius_of, receptive_field
from pipeline.pixels import Pixels
from pipeline.tiling import Region, Span, round_up
from stages.stage import Stage

_SHARE = 0.95


class Inspector:
    """Inspects one stage of a chain on the outputs of the stages before it.

    Args:
        config: The chain; the stage's own strength is ignored.
        stage: ``STAGE`` or ``STAGE:all`` for all levels, ``STAGE:LAYER`` for one level, or for any other module
            whose output is a map of the image.
        device: As for ``Engine``; the precision is always fp32.

    Raises:
        ConfigError: for a stage or a layer that does not exist; the message lists the valid ones.
    """

    def __init__(self, config: ChainConfig, stage: str, device: str = "auto") -> None:
        self.name, _, layer = stage.partition(":")
        if self.name not in config.names:
            raise ConfigError(f"stage: {no_such_stage(self.name, config.names)}")
        index = config.names.index(self.name)
        chain = Chain.build(ChainConfig(stages=config.stages[: index + 1]))
        self._before = None
        if index:
            earlier = Chain(ChainConfig(stages=config.stages[:index]), chain.stages[:index])
            self._before = Engine(earlier, device=device, precision="fp32")
        self._device = Engine(chain, device=device).device
        self._stage = chain.stages[index]
        self.levels = _choose_levels(self._stage, self.name, layer)

    def inspect(self, pixels: Pixels, folder: Path) -> list[str]:
        """Write the heat maps and the receptive field for one image.

        Args:
            pixels: As ``Engine.run`` takes them.
            folder: Output folder; created if it does not exist.

        Returns:
            Lines for the user: the path of the sheet; and the part of the image that was inspected, if not all of it.

        Raises:
            OutOfMemory: if memory runs out although the inspected part was chosen to fit.
        """
        given = self._given(pixels)
        region = self._fitting(*given.shape[:2])
        seen = given[region.slices]
        try:
            self._write(seen, folder)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(f"out of memory on {self._device} for {_size(seen)} pixels; crop the image") from error
        part = (
            [] if seen.shape == given.shape else [f"only the middle {_size(seen)} of {_size(given)} fits into memory"]
        )
        return [f"{len(self.levels)} levels of {self.name}: {folder / f'{self.name}.png'}", *part]

    def _given(self, pixels: Pixels) -> Pixels:
        """Return the input of the stage for an image, as RGB floats, so that nothing is rounded on the way."""
        device = torch.device("cpu")
        image = to_tensor(checked(pixels), device)[0].permute(1, 2, 0).numpy()
        return image if self._before is None else self._before.run(image).pixels

    def _fitting(self, height: int, width: int) -> Region:
        """Return the middle of an image, in its proportions, as large as fits into memory with all gradients."""
        most = SHARE_OF_FREE * free_memory(self._device) / bytes_kept_per_pixel(self._stage)
        reduction = min(1.0, math.sqrt(most / (height * width)))
        rows, columns = (max(1, int(side * reduction)) for side in (height, width))
        top, left = (height - rows) // 2, (width - columns) // 2
        return Region(Span(top, top + rows), Span(left, left + columns))

    def _write(self, seen: Pixels, folder: Path) -> None:
        image = self._padded(seen)
        maps = heat_maps(self._stage, image, self.levels)
        with torch.inference_mode():
            output = self._stage(image)
            change = squared_change(output, image).sum(dim=(0, 1))
        folder.mkdir(parents=True, exist_ok=True)
        cells = [
            ("input", to_bytes(seen)),
            ("output", to_bytes(self._like(seen, output[0].clamp(0, 1)).transpose(1, 2, 0))),
            ("squared change", overlay(seen, self._like(seen, change[None])[0])),
        ]
        for number, (level, heat) in enumerate(maps.items(), start=1):
            overlaid = overlay(seen, self._like(seen, heat[None])[0])
            _save(folder / f"{self.name}_{number:02}_{level}.png", overlaid)
            cells.append((f"{level}  {heat.shape[1]}x{heat.shape[0]}", overlaid))
        title = f"{self.name}: places that its change of the image depends on, each level on its own scale"
        _save(folder / f"{self.name}.png", rendered(contact_sheet(title, cells)))
        self._write_field(image, folder)

    def _write_field(self, image: Tensor, folder: Path) -> None:
        field, halo = receptive_field(self._stage, image), self._stage.halo
        effective = radius_of(field, _SHARE)
        theory = "the whole image" if halo is None else f"{halo} px"
        title = f"{self.name}: halo {theory}; {_SHARE:.0%} of the gradient within {effective} px"
        plot = receptive_field_plot(title, field.cpu().numpy(), halo=halo, effective=effective)
        _save(folder / f"{self.name}_receptive_field.png", rendered(plot))

    def _like(self, seen: Pixels, planes: Tensor) -> Pixels:
        """Resize ``(C, h, w)`` to the size of the inspected pixels, without their padding."""
        height, width = seen.shape[:2]
        size = [round_up(side, self._stage.multiple_of) for side in (height, width)]
        # On the host, because not every torch does it on Metal.
        resized = F.interpolate(planes[None].float().cpu(), size=size, mode="bilinear", antialias=True)[0]
        return resized[:, :height, :width].numpy()

    def _padded(self, seen: Pixels) -> Tensor:
        rows, columns = (Span(0, round_up(side, self._stage.multiple_of)) for side in seen.shape[:2])
        return to_tensor(cut(seen, Region(rows, columns)), self._device)


def _choose_levels(stage: Stage, name: str, layer: str) -> list[str]:
    levels = find_levels(stage)
    if not levels:
        raise ConfigError(f"stage: {name} has no trained layers, so there is nothing to inspect")
    if layer in ("", "all"):
        return levels
    if layer not in find_maps(stage):
        there = ", ".join(levels)
        raise ConfigError(
            f"stage: {name} has no layer {layer!r} with a map of the image{did_you_mean(layer, levels)} "
            f"Its levels: all, {there}; or any module inside them"
        )
    return [layer]


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _save(path: Path, pixels: Pixels) -> None:
    write_image(path, ImageFile(pixels))
