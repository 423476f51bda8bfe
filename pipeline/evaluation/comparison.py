"""How near a chain comes to references: after every stage, and with each stage left out.

The pictures of one input that are judged, by name:

    bicubic         all stages at strength 0: nothing but the enlarging
    after STAGE     what the stages up to this one make; after the last one it is the result
    without STAGE   the result of the chain with this stage at strength 0; one that enlarges becomes bicubic

All are judged at the size of the reference, smaller ones enlarged bicubically, so that the figures of an input
can be compared; and as pixels of the input's bit depth, before a file format such as JPEG loses any of them.
Alpha does not count, nor does one colour that it hides; gray counts as three equal channels, and ICC profiles are not
applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.alpha import visible_pixels
from pipeline.batch.record import Quality, Scores
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import enlarged, to_tensor
from pipeline.errors import BrokenImage, ConfigError, ImageError, RefusedImage, one_line
from pipeline.evaluation.lpips import Lpips
from pipeline.evaluation.metrics import measured, psnr_rgb, psnr_y, ssim_y
from pipeline.hashing import sha256_of
from pipeline.images import READABLE, read_image
from pipeline.pixels import Pixels

_CPU = torch.device("cpu")


class ReferenceComparison:
    """Finds references and judges pictures by them.

    Args:
        folder: Holds the references where the inputs lie below theirs, by the same names with any suffix that
            can be read.
        lpips: ReferenceComparison by it, too.

    Raises:
        ConfigError: if it is no folder.
    """

    def __init__(self, folder: Path, lpips: Lpips | None = None) -> None:
        if not folder.is_dir():
            raise ConfigError(f"--reference: {folder} is not a folder, expected one with the inputs' tree and names")
        self.folder = folder
        self.lpips = lpips
        self._variants: dict[str, Engine] = {}
        self._listed: dict[tuple[Path, int], dict[str, list[Path]]] = {}

    def find(self, relative: Path, suffixes: Set[str] = READABLE) -> Quality:
        """Name the reference of an input, or tell why there is not exactly one.

        Args:
            relative: The input's place below the folder that was given.
            suffixes: Those that it may have.
        """
        place = self.folder / relative.parent
        try:
            found = [path for path in self._list(place).get(relative.stem, ()) if path.suffix.lower() in suffixes]
            if len(found) == 1:
                return Quality(str(found[0]), sha256_of(found[0]))
        except OSError as error:
            return Quality(error=one_line(error))
        if found:
            return Quality(error=f"{' and '.join(map(str, found))} could be its reference; keep one of them")
        return Quality(error=f"no reference, expected {place / relative.stem}.* of a type that can be read")

    def _list(self, place: Path) -> dict[str, list[Path]]:
        """Return a folder's files by their stems; listed once as long as it is the same, as it may hold many."""
        if not place.is_dir():
            return {}
        key = place, place.stat().st_mtime_ns
        if key not in self._listed:
            self._listed[key] = defaultdict(list)
            for path in sorted(place.iterdir()):
                self._listed[key][path.stem].append(path)
        return self._listed[key]

    def judge(self, quality: Quality, engine: Engine, pixels: Pixels, stages: dict[str, Pixels]) -> Quality:
        """Return the figures of one input, or what is wrong with its reference.

        Runs the chain once more for each of its stages, so this takes as many times longer than restoring.

        Args:
            quality: Names the reference; returned as it is where there is none.
            engine: What restored the input; the same for all inputs.
            pixels: The input, as the chain was given it.
            stages: The picture after every stage.
        """
        if quality.reference is None:
            return quality
        try:
            clean = _read_reference(Path(quality.reference), pixels, engine.chain.scale)
            pictures = self._pictures(engine, pixels, stages)
            return replace(quality, figures=self._figures(pictures, clean, engine.chain.scale))
        except Exception as error:
            return replace(quality, error=one_line(error))

    def _pictures(self, engine: Engine, pixels: Pixels, stages: dict[str, Pixels]) -> Iterator[tuple[str, Pixels]]:
        self._variants = self._variants or _variants(engine)
        yield "bicubic", self._variants["bicubic"].run(pixels).pixels
        for name, picture in stages.items():
            yield f"after {name}", picture
        for name in stages:
            yield f"without {name}", self._variants[f"without {name}"].run(pixels).pixels

    def _figures(self, pictures: Iterable[tuple[str, Pixels]], clean: Pixels, scale: int) -> dict[str, Scores]:
        """Score images; as many border pixels are cut from luma as the chain enlarges, none at scale 1."""
        reference, border = to_tensor(clean, _CPU), scale if scale > 1 else 0
        figures = {}
        for name, picture in pictures:
            image = to_tensor(enlarged(picture, clean.shape[0] // picture.shape[0]), _CPU)
            figures[name] = {
                "psnr_rgb": round(psnr_rgb(image, reference), 4),
                "psnr_y": round(psnr_y(image, reference, border), 4),
                "ssim_y": round(ssim_y(image, reference, border), 6),
            }
            if self.lpips is not None:
                figures[name]["lpips"] = round(self.lpips(image, reference), 6)
        return figures

    def has_judged(self, figures: dict[str, Scores]) -> bool:
        """Tell whether figures of an earlier run hold all that is asked for now."""
        return bool(figures) and (self.lpips is None or "lpips" in measured(figures.values()))


def _variants(engine: Engine) -> dict[str, Engine]:
    """Return engines of the same modules with all stages, or one, at strength 0."""
    names = engine.chain.names
    silent = {"bicubic": names, **{f"without {name}": (name,) for name in names}}
    return {variant: engine.with_strengths(dict.fromkeys(left_out, 0.0)) for variant, left_out in silent.items()}


def _read_reference(path: Path, pixels: Pixels, scale: int) -> Pixels:
    try:
        clean = visible_pixels(read_image(path))
    except ImageError as error:
        raise BrokenImage(f"the reference {path} {error}") from error
    height, width = (side * scale for side in pixels.shape[:2])
    if clean.shape[:2] != (height, width):
        raise RefusedImage(
            f"the reference {path} is {clean.shape[1]}x{clean.shape[0]}, expected {width}x{height}, "
            f"the size of the result; the input is {pixels.shape[1]}x{pixels.shape[0]}"
        )
    return clean
