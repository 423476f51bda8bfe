"""Degraded test sets: ``python -m train degrade FOLDER -o DEGRADED -c CONFIG.yaml --seed 0``.

Every image becomes a PNG of the same place and name. What happens to an image depends only on the seed and its own
name, not on the other images. ``DEGRADED/degradation.yaml``, which is written last, holds all that is needed to make
the same set again, with ``-c DEGRADED/degradation.yaml``.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import cv2
import torch
import yaml
from pydantic import Field, field_validator
from torch import Generator, Tensor

from pipeline.errors import BrokenImage, ConfigError
from stages.stage import Section
from train.data.images import read_rgb
from train.data.layouts import images_below
from train.degradation.functions import average_frames, quantise
from train.degradation.sequence import Degradation, degrade, scale

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

    degradation: Degradation = Field(description="what happens to a clean image, in order")
    frames: FrameAveraging | None = Field(None, description="what blurs it before that, for sequences only")
    seed: int = Field(0, ge=0, description="another one gives another set; --seed overrides it")
    code_version: str = Field("", description="written beside a set; not read")
    files: list[str] = Field(default_factory=list, description="of the source; written beside a set; not read")


def refuse_overwriting(source: Path, target: Path, *, overwrite: bool) -> None:
    """Make sure that nothing is lost.

    Raises:
        ConfigError: if ``target`` holds ``source``, is a file, or holds anything else and may not be overwritten.
    """
    if source.resolve().is_relative_to(target.resolve()):
        raise ConfigError(f"output: {target} is or holds {source}, expected another folder for the degraded images")
    if target.is_file():
        raise ConfigError(f"output: got the file {target}, expected a folder")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise ConfigError(f"output: {target} is not empty, expected a new folder; give another, or --overwrite")


def find_windows(source: Path, target: Path, settings: DegradedSet) -> list[tuple[Path, ...]]:
    """List what each degraded image is made of: one file, or neighbouring frames of a folder.

    Raises:
        ConfigError: if there is nothing below ``source``, or two files would become the same PNG.
    """
    paths = [path for path in images_below(source) if not path.resolve().is_relative_to(target.resolve())]
    count = settings.frames.count if settings.frames else 1
    windows = [
        tuple(frames[first : first + count])
        for frames in (list(group) for _, group in groupby(paths, key=lambda path: path.parent))
        for first in range(0, len(frames) - count + 1, count)
    ]
    if not windows:
        found = f"a folder with {count} frames" if count > 1 else "images"
        raise ConfigError(f"got {source} with {len(paths)} images below it, expected {found}")
    _refuse_clashes([_middle(window) for window in windows])
    return windows


def write_set(source: Path, target: Path, settings: DegradedSet, windows: Sequence[tuple[Path, ...]]) -> DegradedSet:
    """Degrade all images and write the settings beside them; what cannot be read is named and left out.

    Returns:
        The settings as written, with the files that were done.
    """
    files = []
    for window in windows:
        name = _middle(window).relative_to(source)
        try:
            image = degrade_window(window, name.as_posix(), settings)
        except BrokenImage as error:
            _log.warning("left out: %s", error)
            continue
        _write_png(target / name.with_suffix(".png"), image)
        files.append(name.as_posix())
    done = settings.model_copy(update={"files": files, "code_version": version("restorechain")})
    target.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(done.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (target / "degradation.yaml").write_text(text, encoding="utf-8")
    return done


def degrade_window(window: tuple[Path, ...], name: str, settings: DegradedSet) -> Tensor:
    """Read and degrade one image, ``(1, 3, H, W)``; its right and bottom are cut to a multiple of the scale.

    Always on the CPU, whose random numbers are the same on every machine.

    Raises:
        BrokenImage: if a file cannot be decoded, frames differ in size or the image is too small for the settings.
    """
    frames = [torch.from_numpy(read_rgb(path)).permute(2, 0, 1).float() / 255 for path in window]
    if len({frame.shape for frame in frames}) > 1:
        raise BrokenImage(f"{window[0]} and the {len(window) - 1} frames after it differ in size")
    clean = frames[0][None]
    if settings.frames:
        clean = average_frames(torch.stack(frames)[None], linear_light=settings.frames.linear_light)
    factor = scale(settings.degradation)
    height, width = (size // factor * factor for size in clean.shape[-2:])
    if not height or not width:
        raise BrokenImage(f"{_middle(window)} is smaller than {factor} pixels, by which the settings divides its size")
    return degrade(clean[..., :height, :width], settings.degradation, _generator_for(name, settings.seed))


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
            raise ConfigError(f"{first} and {path} would both become {path.with_suffix('.png').name}; rename one")


def _write_png(path: Path, image: Tensor) -> None:
    pixels = quantise(image)[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())
