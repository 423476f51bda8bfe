"""The contract between a stage and everything that runs or trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from torch import Tensor, nn

from stages.layers import IMAGENET_DEVIATION, IMAGENET_MEAN

_LARGEST = 4096  # channels, layers, blocks of a network


class Stage(nn.Module):
    """One step of a chain: restores a batch of RGB images.

    ``forward`` takes ``(B, 3, H, W)``, sRGB-encoded floats in ``[0, 1]``, and returns the same ``scale`` times larger.
    H and W must be multiples of ``multiple_of``: pad a bare network's input first. A stage does not pad, crop, clamp
    or check; the pipeline does that once, for all stages.

    A stage with a ``radius`` restores a frame of a video by its neighbours: it takes ``(B, 2 * radius + 1, 3, H, W)``,
    frames in the order in which they are shown with the one to restore in the middle, and returns
    ``(B, 3, scale * H, scale * W)``. A neighbour that is missing (before the first frame, behind the last one, beyond a
    cut, damaged) is the middle frame itself, the very same values: a repeated frame must add nothing. Images, which
    have no neighbours, pass such a stage unchanged; the pipeline does not call it for them.

    Attributes:
        scale: Output pixels per input pixel and axis.
        multiple_of: What H and W must divide by.
        halo: Radius, in input pixels, of everything that one output pixel depends on; None where it is the whole
            image. Tiles that overlap by it are seam-free. With a ``radius``, the largest motion that is followed is
            part of it.
        radius: Frames on each side that help to restore a frame of a video; 0 for a stage that takes single images.
        measures: Numbers that the stage has to know of the whole image. ``measure`` finds them; ``forward`` takes them
            as constant planes behind the three colours, ``(B, 3 + measures, H, W)``, or measures what it is given.
        joined: Names of the layers whose input is a concatenation of two equally wide tensors, as behind a U-Net's
            skips. Widening a network has to treat both halves alike.
    """

    scale: int = 1
    multiple_of: int = 1
    halo: int | None = 0
    radius: int = 0
    measures: int = 0
    joined: frozenset[str] = frozenset()

    def input_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of what ``forward`` takes for one image, or for one frame with its neighbours."""
        frames = (2 * self.radius + 1,) if self.radius else ()
        return (1, *frames, 3, height, width)

    def measure(self, image: Tensor) -> Tensor:
        """Return what the stage has to know of each image, ``(B, measures, 1, 1)``; tiles are given the whole's."""
        return image.new_empty(len(image), 0, 1, 1)

    def fuse(self) -> Stage:
        """Fold, in place, what only training needs (batch norm); the outputs in eval mode stay the same."""
        return self

    def from_published(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a published state_dict under the names, and in the units, of this implementation."""
        return tensors

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, ``(B, 3, scale * H, scale * W)``, not clamped."""
        raise TypeError(f"{type(self).__name__} has no forward")


class Normalized(Stage):
    """A network in the color space normalized by ImageNet's mean and deviation: applied before it, undone behind it.

    A weights file holds the network alone, so that its tensors have the same names with and without normalization.

    Args:
        network: Maps normalized images to normalized images; a global residual inside it stays one.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Stage) -> None:
        super().__init__()
        self.network = network
        self.scale, self.multiple_of, self.halo = network.scale, network.multiple_of, network.halo
        self.joined = frozenset(f"network.{name}" for name in network.joined)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the network's image, ``(B, 3, scale * H, scale * W)``, back in ``[0, 1]`` but for overshoots."""
        result: Tensor = self.network((image - self.mean) / self.deviation)
        return result * self.deviation + self.mean

    def fuse(self) -> Stage:
        """Fold the network's batch norm."""
        self.network = self.network.fuse()
        return self


def _find(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        found = (folder / path).resolve()
        if found.is_file():
            return found
    except (OSError, ValueError):  # no possible name
        found = folder / path
    raise ValueError(f"no such file: {found}")


FileBeside = Annotated[Path, AfterValidator(_find)]
"""An existing file; its path is relative to the YAML that names it."""


class Section(BaseModel):
    """Base of everything read from YAML: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _checked_strength(strength: object) -> object:
    number = isinstance(strength, int | float) and not isinstance(strength, bool)
    if strength != "auto" and not (number and 0 <= float(strength) <= 1):  # type: ignore[arg-type]
        raise ValueError(f"got {strength!r}, expected a number from 0 to 1, or auto")
    return strength


class StageConfig(Section, ABC):
    """Options of one stage in a chain's YAML; the only place where defaults live.

    Attributes:
        summary: What the stage is for and how it does it, for a list: ``denoise: predicts the noise``.
    """

    summary: ClassVar[str]

    stage: str
    strength: Annotated[Literal["auto"] | float, BeforeValidator(_checked_strength)] = Field(
        1.0,
        description="blend of output (1) and input (0, bicubically upscaled); auto: by the image",
    )

    @abstractmethod
    def build(self) -> Stage:
        """Build the module, with random weights where it has any."""

    def arguments(self) -> dict[str, Any]:
        """Return the module's keyword arguments."""
        return self.model_dump(exclude={"stage", "strength", "weights", "normalize"})

    def architecture(self) -> dict[str, Any]:
        """Return what a weights file must agree with."""
        return self.arguments()

    def files(self) -> dict[str, Path]:
        """Return the files that options name; their content, not their path, determines the result."""
        return {name: value for name, value in self if isinstance(value, Path)}


class LearnedStageConfig(StageConfig, ABC):
    """Options of a stage with trained weights.

    Attributes:
        later_options: Defaults of options that came after the first fingerprints, which leave them out.
        run_options: Names of architecture options that any weights can be run with, whatever they were trained with.
    """

    later_options: ClassVar[dict[str, Any]] = {"normalize": "none"}
    run_options: ClassVar[frozenset[str]] = frozenset()

    weights: str | None = Field(
        None, description="a name that `restorechain weights list` shows, or a path relative to the YAML"
    )
    normalize: Literal["none", "imagenet"] = Field(
        "none", description="imagenet: subtract its mean and divide by its deviation before, undo behind the network"
    )

    @model_validator(mode="after")
    def _refuse_endless_networks(self) -> Self:
        """Refuse sizes far above those of any network, whose building alone would take hours, or all memory."""
        for name, value in self:
            sizes = value if isinstance(value, list | tuple) else [value]
            for size in sizes:
                if isinstance(size, int) and size > _LARGEST:
                    raise ValueError(f"{name}: got {size}, expected at most {_LARGEST}")
        return self

    @abstractmethod
    def build_network(self) -> Stage:
        """Build the network itself, with random weights."""

    def build(self) -> Stage:
        """Build the network, between normalization and its inverse if so configured."""
        network = self.build_network()
        return network if self.normalize == "none" else Normalized(network)

    def arguments(self) -> dict[str, Any]:
        """Return the network's keyword arguments, also those that are left out where they are written."""
        later = {name: default for name, default in self.later_options.items() if name != "normalize"}
        return {**later, **super().arguments()}

    def architecture(self) -> dict[str, Any]:
        """Return the network's keyword arguments and its normalization."""
        return {**self.arguments(), "normalize": self.normalize}

    @model_serializer(mode="wrap")
    def _leave_out_later_options(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep what is written of configs, fingerprints included, as before there were these options."""
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if (key, value) not in self.later_options.items()}

    def files(self) -> dict[str, Path]:
        """Return the weights file and the other files that options name."""
        return super().files() | ({} if self.weights is None else {"weights": Path(self.weights)})
