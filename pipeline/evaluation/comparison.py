"""Compare the results of a chain with references: after every stage, and with each stage left out.

The images of one input that are scored, by name:

    bicubic         all stages at strength 0: nothing but bicubic upscaling
    after STAGE     the output of this stage; after the last one it is the result
    without STAGE   the result of the chain with this stage at strength 0; one that upscales becomes bicubic

All are scored at the size of the reference, smaller ones upscaled bicubically, so that the scores of an input can be
compared; and as pixels of the input's bit depth, before a file format such as JPEG loses any of them. Alpha does not
count, nor does a single colour that it hides; gray counts as three equal channels, and ICC profiles are not applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.alpha import visible_pixels
from pipeline.engine.engine import Engine
from pipeline.engine.tensors import to_tensor, upscaled
from pipeline.errors import BrokenImage, ConfigError, ImageError, RefusedImage, one_line
from pipeline.evaluation.lpips import Lpips
from pipeline.evaluation.metrics import measured, psnr_rgb, psnr_y, ssim_y
from pipeline.evaluation.quality import Quality, Scores
from pipeline.hashing import sha256_of
from pipeline.images import PIXEL_LIMIT, READABLE, read_image
from pipeline.pixels import Pixels

_CPU = torch.device("cpu")


class ReferenceComparison:
    """Finds the reference of each input, and scores restored images against it.

    Args:
        folder: Holds the references in the same tree and under the same names as the inputs, with any suffix that
            can be read.
        lpips: Adds LPIPS to the scores.

    Raises:
        ConfigError: if ``folder`` is not a folder.
    """

    def __init__(self, folder: Path, lpips: Lpips | None = None) -> None:
        if not folder.is_dir():
            raise ConfigError(
                f"reference: got {folder}, which is not a folder, expected one with the tree and names of the inputs"
            )
        self.folder = folder
        self.lpips = lpips
        self._variants: dict[str, Engine] = {}
        self._listed: dict[tuple[Path, int], dict[str, list[Path]]] = {}

    def find(self, relative: Path, suffixes: Set[str] = READABLE) -> Quality:
        """Find the reference of an input; the error says why there is not exactly one.

        Args:
            relative: Path of the input below the input folder.
            suffixes: Suffixes that a reference may have.
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
        """Return a folder's files by their stems; read again only when the folder has changed, as it may hold many."""
        if not place.is_dir():
            return {}
        key = place, place.stat().st_mtime_ns
        if key not in self._listed:
            self._listed[key] = defaultdict(list)
            for path in sorted(place.iterdir()):
                self._listed[key][path.stem].append(path)
        return self._listed[key]

    def compare(self, quality: Quality, engine: Engine, pixels: Pixels, stages: dict[str, Pixels]) -> Quality:
        """Score one input against its reference; the error says what is wrong with the reference.

        Runs the chain once more for each of its stages, so it takes as many times longer than restoring.

        Args:
            quality: From ``find``; returned unchanged where there is no reference.
            engine: The engine that restored the input; the same for all inputs.
            pixels: The input of the chain.
            stages: The output of every stage.
        """
        if quality.reference is None:
            return quality
        try:
            clean = _read_reference(Path(quality.reference), pixels, engine.chain.scale)
            images = self._images(engine, pixels, stages)
            return replace(quality, scores=self._scores(images, clean, engine.chain.scale))
        except Exception as error:
            return replace(quality, error=one_line(error))

    def _images(self, engine: Engine, pixels: Pixels, stages: dict[str, Pixels]) -> Iterator[tuple[str, Pixels]]:
        self._variants = self._variants or _variants(engine)
        yield "bicubic", self._variants["bicubic"].run(pixels).pixels
        for name, output in stages.items():
            yield f"after {name}", output
        for name in stages:
            yield f"without {name}", self._variants[f"without {name}"].run(pixels).pixels

    def _scores(self, images: Iterable[tuple[str, Pixels]], clean: Pixels, scale: int) -> dict[str, Scores]:
        """Score images; luma is cropped by as many border pixels as the chain's scale, by none at scale 1."""
        reference, border = to_tensor(clean, _CPU), scale if scale > 1 else 0
        scores = {}
        for name, pixels in images:
            image = to_tensor(upscaled(pixels, clean.shape[0] // pixels.shape[0]), _CPU)
            scores[name] = {
                "psnr_rgb": round(psnr_rgb(image, reference), 4),
                "psnr_y": round(psnr_y(image, reference, border), 4),
                "ssim_y": round(ssim_y(image, reference, border), 6),
            }
            if self.lpips is not None:
                scores[name]["lpips"] = round(self.lpips(image, reference), 6)
        return scores

    def has_compared(self, scores: dict[str, Scores]) -> bool:
        """Return whether scores of an earlier run hold all metrics that are asked for now."""
        return bool(scores) and (self.lpips is None or "lpips" in measured(scores.values()))


def _variants(engine: Engine) -> dict[str, Engine]:
    """Return engines of the same modules with all stages, or one, at strength 0."""
    names = engine.chain.names
    silent = {"bicubic": names, **{f"without {name}": (name,) for name in names}}
    return {variant: engine.with_strengths(dict.fromkeys(left_out, 0.0)) for variant, left_out in silent.items()}


def _read_reference(path: Path, pixels: Pixels, scale: int) -> Pixels:
    height, width = (side * scale for side in pixels.shape[:2])
    try:
        clean = visible_pixels(read_image(path, max(PIXEL_LIMIT, height * width)))
    except ImageError as error:
        raise BrokenImage(f"the reference {path} {error}", error.reason) from error
    if clean.shape[:2] != (height, width):
        raise RefusedImage(
            f"the reference {path} is {clean.shape[1]}x{clean.shape[0]}, expected {width}x{height}, "
            f"the size of the result; the input is {pixels.shape[1]}x{pixels.shape[0]}"
        )
    return clean
