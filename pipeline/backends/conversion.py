"""Convert stages for other engines: the steps common to ncnn and OpenVINO.

    stage -> model, in the engine's files -> agrees with torch? -> cache -> ConvertedStage
                                                  | no
                                                  '-> the stage itself, and a warning

Models are kept in the user's cache folder, by a key that names all that they depend on: the network, its code, the
libraries and the processor. So a model that has agreed with torch once need not be compared at every start.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from pipeline.backends.model_cache import ModelCache
from pipeline.backends.photos import comparison_photos
from pipeline.backends.wrapper import NamedStage, StageWrapper
from pipeline.device.computing import processor_name
from pipeline.errors import ConversionError
from pipeline.tiling import round_up
from stages.layers import with_planes
from stages.stage import Stage

FP32_BOUND = 1e-3
_log = logging.getLogger(__name__)

Images = np.ndarray[Any, Any]
Run = Callable[[Images], Images]
"""Runs a network on ``(B, 3, H, W)`` in float32; the caller owns the result."""


class ConvertedStage(StageWrapper):
    """A stage whose network is run by another engine than torch.

    Args:
        original: The stage in torch, from which scale, halo and memory are taken.
        run: The converted network.
        label: The engine's name.
    """

    def __init__(self, original: Stage, run: Run, label: str) -> None:
        super().__init__(original)
        self._run = run
        self._label = label

    @property
    def label(self) -> str:
        """The engine's name."""
        return self._label

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, as ``original`` would."""
        return torch.from_numpy(self._run(image.float().contiguous().numpy()))


def convert_stages(stages: Sequence[NamedStage], convert: Callable[[NamedStage], Stage]) -> list[Stage]:
    """Convert the networks among stages; one that cannot be converted is returned unchanged, with a warning.

    Args:
        stages: What to convert; not changed.
        convert: Raises ConversionError.
    """
    return [_converted(named, convert) if named.is_network else named.stage for named in stages]


def _converted(named: NamedStage, convert: Callable[[NamedStage], Stage]) -> Stage:
    try:
        return convert(named)
    except ConversionError as refused:
        _log.warning("stage %s runs in torch: %s", named.name, refused)
        return named.stage


def open_cache(engine: str, folder: Path | None) -> ModelCache:
    """Return the cache in a folder, or in the user's by default."""
    return ModelCache(folder or user_cache_path("restorechain") / engine)


@contextmanager
def tracing(stage: Stage, engine: str) -> Iterator[Tensor]:
    """Prepare a stage for tracing and yield an example image.

    Raises:
        ConversionError: for whatever is raised inside.
    """
    side = round_up(64, stage.multiple_of)
    example = torch.zeros(1, 3 + stage.measures, side, side)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of what the comparison finds out
            stage(example)  # fills the stage's caches, or the trace would hold how they are made
            yield example
    except ConversionError:
        raise
    except Exception as error:  # of many types, from tracing or from either library
        raise ConversionError(f"{engine} cannot convert it ({first_line(error)})") from error


@torch.no_grad()
def with_measures(stage: Stage, photo: Tensor) -> Tensor:
    """Return a photo as the engine gives it to a stage: with what that has to know of it as planes."""
    return with_planes(photo, stage.measure(photo)) if stage.measures else photo


def differences(stage: Stage, run: Callable[[Tensor], Tensor], engine: str, photos: Sequence[Tensor]) -> list[Tensor]:
    """Return an engine's result minus torch's, for each photo.

    Raises:
        ConversionError: if the engine fails, or returns another size.
    """
    with torch.inference_mode():
        photos = [with_measures(stage, photo) for photo in photos]
        expected = [stage(photo) for photo in photos]
        try:
            made = [run(photo) for photo in photos]
        except RuntimeError as error:  # a graph that holds for one size only
            raise ConversionError(f"{engine} cannot run it ({first_line(error)})") from error
    shapes = [[tuple(result.shape) for result in results] for results in (made, expected)]
    if shapes[0] != shapes[1]:
        raise ConversionError(f"{engine} returns the shapes {shapes[0]}, expected {shapes[1]}")
    return [ours - theirs for ours, theirs in zip(made, expected, strict=True)]


def compare(converted: ConvertedStage, engine: str) -> None:
    """Compare a stage converted in fp32 with torch.

    Raises:
        ConversionError: if its result does not agree with torch's.
    """
    stage = converted.original
    require_agreement(differences(stage, converted, engine, comparison_photos(stage.multiple_of, 1)), engine)


def require_agreement(found: Sequence[Tensor], engine: str) -> None:
    """Check that fp32 results agree with torch.

    Raises:
        ConversionError: if they differ by more than ``FP32_BOUND`` of full scale in any pixel.
    """
    worst = torch.stack([difference.abs().max() for difference in found]).max().item()
    if not worst <= FP32_BOUND:
        raise ConversionError(f"{engine}'s result differs by {worst:.2g} of full scale, {FP32_BOUND:g} is allowed")


def first_line(error: Exception) -> str:
    """Return what an error says, briefly."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def model_key(named: NamedStage, packages: Iterable[str]) -> str:
    """Hash all that a converted model depends on: the network, packages by their versions, the processor."""
    versions = [f"{package} {version(package)}" for package in (*packages, "torch", "restorechain")]
    return hashlib.sha256(f"{named.sha256} {versions} {processor_name()}".encode()).hexdigest()[:32]
