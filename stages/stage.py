"""The contract between a stage and everything that runs or trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from torch import Tensor, nn


class Stage(nn.Module):
    """One step of a chain: an RGB image in, a better one out.

    ``forward`` takes ``(B, 3, H, W)``, sRGB-encoded floats in ``[0, 1]``, with H and W multiples of
    ``multiple_of``, and returns the same ``scale`` times larger. It does not pad to sizes, crop, clamp or check:
    the pipeline does that once, for all stages.

    Attributes:
        scale: Output pixels per input pixel and axis.
        multiple_of: What H and W must divide by.
        halo: Radius, in input pixels, of everything that one output pixel depends on; None where it is the whole
            image. Tiles that overlap by it are seam-free.
        joined: Names of the layers that read two tensors of as many channels side by side, as behind a U-Net's skips.
    """

    scale: int = 1
    multiple_of: int = 1
    halo: int | None = 0
    joined: frozenset[str] = frozenset()

    def fuse(self) -> Stage:
        """Fold, in place, what only training needs (batch norm); the outputs in eval mode stay the same."""
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored image, ``(B, 3, scale * H, scale * W)``, not clamped."""
        raise TypeError(f"{type(self).__name__} has no forward")


def _find(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    found = (folder / path).resolve()
    if not found.is_file():
        raise ValueError(f"no such file: {found}")
    return found


FileBeside = Annotated[Path, AfterValidator(_find)]
"""A file that is there, its path relative to the YAML that names it."""


class Section(BaseModel):
    """A part of a YAML: frozen, and taking neither unknown keys nor values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StageConfig(Section, ABC):
    """What a chain's YAML says of one stage; the only place where defaults live.

    Attributes:
        summary: What the stage is for and how it does it, for a list: ``denoise: predicts the noise``.
    """

    summary: ClassVar[str]

    stage: str
    strength: float = Field(1.0, ge=0, le=1, description="blend of output (1) and input (0, bicubically upscaled)")

    @abstractmethod
    def build(self) -> Stage:
        """Build the module, with random weights where it has any."""

    def architecture(self) -> dict[str, Any]:
        """Return the module's keyword arguments: what a weights file must agree with."""
        return self.model_dump(exclude={"stage", "strength", "weights"})

    def files(self) -> dict[str, Path]:
        """Return the files that options name: what is in them changes pixels, not where they lie."""
        return {name: value for name, value in self if isinstance(value, Path)}


class LearnedStageConfig(StageConfig, ABC):
    """A stage that has to be trained before it is of use.

    Attributes:
        run_options: Names of architecture options that any weights can be run with, whatever they were trained with.
    """

    run_options: ClassVar[frozenset[str]] = frozenset()

    weights: str | None = Field(None, description="a shipped name, or the path of a weights file relative to the YAML")

    def files(self) -> dict[str, Path]:
        """Return the weights file and what else options name."""
        return super().files() | ({} if self.weights is None else {"weights": Path(self.weights)})
