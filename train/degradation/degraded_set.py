"""Make a degraded test set: ``python -m train.degrade SRC DST -c RECIPE.yaml --seed 0``.

Every image below SRC becomes a PNG of the same place and name below DST. What happens to an image depends only on the
seed and its own name, not on the other images. ``DST/recipe.yaml``, which is written last, holds all that is needed to
make the same set again, with ``-c DST/recipe.yaml``.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import cv2
import torch
import yaml
from pydantic import Field, field_validator
from torch import Generator, Tensor

from pipeline.chain.yaml_validation import read_yaml
from pipeline.errors import ConfigError
from stages.stage import Section
from train.data.images import read_rgb
from train.data.layouts import images_below
from train.degradation.functions import average_frames, quantise
from train.degradation.sequence import Recipe, degrade, scale

_log = logging.getLogger(__name__)


class FrameAveraging(Section):
    """Blur by the mean of neighbouring frames; the images of a folder, by name, are the frames of a video."""

    count: int = Field(7, ge=3, description="frames a blurred image is made of, odd; it is named after the middle one")
    linear_light: bool = Field(True, description="average light instead of gamma-encoded values")

    @field_validator("count")
    @classmethod
    def _odd(cls, count: int) -> int:
        if count % 2 == 0:
            raise ValueError(f"got {count}, expected an odd number, so that one frame is in the middle")
        return count


class DegradedSet(Section):
    """The YAML: what is done to the images; and, beside a finished set, how and from what it was made."""

    degradation: Recipe = Field(description="what happens to a clean image, in order")
    frames: FrameAveraging | None = Field(None, description="what blurs it before that, for sequences only")
    seed: int = Field(0, ge=0, description="another one gives another set; --seed overrides it")
    code_version: str = Field("", description="written beside a set; not read")
    files: list[str] = Field(default_factory=list, description="of SRC; written beside a set; not read")


def main() -> int:
    """Run the command line; return its exit code: 0 all done, 1 some files left out, 2 wrong use."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    options = build_parser().parse_args()
    try:
        recipe = read_yaml(options.config, DegradedSet)
        if options.seed is not None:
            recipe = recipe.model_copy(update={"seed": options.seed})
        refuse_overwriting(options.source, options.target, overwrite=options.overwrite)
        windows = find_windows(options.source, options.target, recipe)
        done = write_set(options.source, options.target, recipe, windows)
    except (ConfigError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.target}: {len(done.files)} of {len(windows)} images")
    return 0 if len(done.files) == len(windows) else 1


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(prog="python -m train.degrade", description=__doc__)
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of clean images, with all below it")
    parser.add_argument("target", type=Path, metavar="DST", help="folder of the degraded ones, new or empty")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="RECIPE.yaml", help="see configs/degrade")
    parser.add_argument("--seed", type=int, help="overrides the recipe's (default: the recipe's, or 0)")
    parser.add_argument("--overwrite", action="store_true", help="write into a DST that is not empty")
    return parser


def refuse_overwriting(source: Path, target: Path, *, overwrite: bool) -> None:
    """Make sure that nothing is lost.

    Raises:
        ValueError: if ``target`` holds ``source``, or anything else and may not be overwritten.
        NotADirectoryError: if ``target`` is a file.
    """
    if source.resolve().is_relative_to(target.resolve()):
        raise ValueError(f"DST {target} is or holds SRC {source}, expected another folder for the degraded images")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ValueError(f"{target} is not empty, expected a new folder; take another, or write into it by --overwrite")


def find_windows(source: Path, target: Path, recipe: DegradedSet) -> list[tuple[Path, ...]]:
    """List what each degraded image is made of: one file, or neighbouring frames of a folder.

    Raises:
        FileNotFoundError: if there is nothing below ``source``.
        ValueError: if two files would become the same PNG.
    """
    paths = [path for path in images_below(source) if not path.resolve().is_relative_to(target.resolve())]
    count = recipe.frames.count if recipe.frames else 1
    windows = [
        tuple(frames[first : first + count])
        for frames in (list(group) for _, group in groupby(paths, key=lambda path: path.parent))
        for first in range(0, len(frames) - count + 1, count)
    ]
    if not windows:
        found = f"a folder with {count} frames" if count > 1 else "images"
        raise FileNotFoundError(f"got {source} with {len(paths)} images below it, expected {found}")
    _refuse_clashes([_middle(window) for window in windows])
    return windows


def write_set(source: Path, target: Path, recipe: DegradedSet, windows: Sequence[tuple[Path, ...]]) -> DegradedSet:
    """Degrade all images and write the recipe beside them; what cannot be read is named and left out.

    Returns:
        The recipe as written, with the files that were done.
    """
    files = []
    for window in windows:
        name = _middle(window).relative_to(source)
        try:
            image = degrade_window(window, name.as_posix(), recipe)
        except ValueError as error:
            _log.warning("left out: %s", error)
            continue
        _write_png(target / name.with_suffix(".png"), image)
        files.append(name.as_posix())
    done = recipe.model_copy(update={"files": files, "code_version": version("restorechain")})
    target.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(done.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (target / "recipe.yaml").write_text(text, encoding="utf-8")
    return done


def degrade_window(window: tuple[Path, ...], name: str, recipe: DegradedSet) -> Tensor:
    """Read and degrade one image, ``(1, 3, H, W)``; its right and bottom are cut to a multiple of the scale.

    Always on the CPU, whose random numbers are the same on every machine.

    Raises:
        ValueError: if a file cannot be decoded, frames differ in size or the image is too small for the recipe.
    """
    frames = [torch.from_numpy(read_rgb(path)).permute(2, 0, 1).float() / 255 for path in window]
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"{window[0]} and the {len(window) - 1} frames after it differ in size")
    clean = frames[0][None]
    if recipe.frames:
        clean = average_frames(torch.stack(frames)[None], linear_light=recipe.frames.linear_light)
    factor = scale(recipe.degradation)
    height, width = (size // factor * factor for size in clean.shape[-2:])
    if not height or not width:
        raise ValueError(f"{_middle(window)} is smaller than {factor} pixels, by which the recipe divides its size")
    return degrade(clean[..., :height, :width], recipe.degradation, _generator_for(name, recipe.seed))


def _generator_for(name: str, seed: int) -> Generator:
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:6], "big"))


def _middle(window: tuple[Path, ...]) -> Path:
    return window[len(window) // 2]


def _refuse_clashes(paths: list[Path]) -> None:
    named: dict[Path, Path] = {}
    for path in paths:
        first = named.setdefault(path.with_suffix(".png"), path)
        if first != path:
            raise ValueError(f"{first} and {path} would both become {path.with_suffix('.png').name}; rename one")


def _write_png(path: Path, image: Tensor) -> None:
    pixels = quantise(image)[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())


if __name__ == "__main__":
    sys.exit(main())
