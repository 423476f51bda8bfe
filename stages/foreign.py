"""Networks of other projects: any file that spandrel knows (https://github.com/chaiNNer-org/spandrel), more than
forty architectures. Architecture, scale and the sizes that it takes are read from the file.

Nothing in a file is run: tensors are read by safetensors, or by ``torch.load(weights_only=True)``, whose unpickler
builds nothing but tensors and plain containers, and spandrel is given the tensors, never the file.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field, ValidationInfo
from torch import Tensor, nn

from stages.catalogue.cache import obtain
from stages.catalogue.entry import is_entry
from stages.errors import WeightsError
from stages.extras import install_hint
from stages.layers import full_precision
from stages.stage import Stage, StageConfig
from stages.weights import read_tensors, resolve

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

# Only convolutions at one size look beyond a pixel, so the halo is the sum of their radii. Networks that pool, attend
# or normalise over the image have no halo.
_PLAIN_ARCHITECTURES = ("Compact", "DnCNN")

# Windows lie on a grid that begins with the image; on another, parts of an image would differ from the whole. Where
# networks pad to their grid by themselves, spandrel does not count that as a requirement.
_GRIDS = {"SCUNet": 64}


class Spandrel(Stage):
    """A network of another project.

    Args:
        descriptor: The network and what spandrel knows of it.
        halo: See ``SpandrelConfig``.
    """

    def __init__(self, descriptor: ImageModelDescriptor, *, halo: int | None) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.model: nn.Module = descriptor.model.to(torch.get_default_device())
        self.scale = descriptor.scale
        self.multiple_of = _GRIDS.get(descriptor.architecture.id, descriptor.size_requirements.multiple_of)
        self.halo = _halo_of(descriptor) if halo is None else halo

    def forward(self, image: Tensor) -> Tensor:
        """Return the network's image, ``(B, 3, scale * H, scale * W)``.

        An image that is too small for the network, or not square if it needs a square, is padded. The network runs in
        full precision if it is known not to support the half precision that is asked for.
        """
        # Without spandrel's inference mode: stages that are trained before this one need its gradient.
        call = inspect.unwrap(type(self.descriptor).__call__)
        with nullcontext() if self._supports_autocast(image.device.type) else full_precision(image.device.type):
            return call(self.descriptor, image)

    def _supports_autocast(self, device_type: str) -> bool:
        if not torch.amp.is_autocast_available(device_type) or not torch.is_autocast_enabled(device_type):
            return True
        half = torch.get_autocast_dtype(device_type) == torch.float16
        return self.descriptor.supports_half if half else self.descriptor.supports_bfloat16


def _halo_of(descriptor: ImageModelDescriptor) -> int | None:
    if descriptor.architecture.id not in _PLAIN_ARCHITECTURES:
        return None
    convolutions = (module for module in descriptor.model.modules() if isinstance(module, nn.Conv2d))
    return sum(convolution.kernel_size[0] // 2 for convolution in convolutions)


def load_descriptor(path: Path) -> ImageModelDescriptor:
    """Read a published file and find out what it is, on the CPU.

    Raises:
        WeightsError: if spandrel is not installed, or the file is not one of a network from RGB to RGB images.
    """
    try:
        from spandrel import MAIN_REGISTRY, UnsupportedModelError, canonicalize_state_dict
    except ImportError as error:
        raise WeightsError(f"{path.name}: spandrel is not installed; {install_hint('zoo')}") from error
    tensors = canonicalize_state_dict(read_tensors(path))
    try:
        with torch.device("cpu"):
            descriptor = MAIN_REGISTRY.load(tensors)
    except UnsupportedModelError as error:
        raise WeightsError(f"{path} is of no architecture that spandrel knows") from error
    except Exception as error:  # each architecture fails on a damaged file in its own way
        raise WeightsError(f"{path} is damaged, or of a variant that spandrel does not know: {error}") from error
    _refuse_other_purposes(descriptor, path)
    return descriptor


def _refuse_other_purposes(descriptor: Any, path: Path) -> None:
    name = descriptor.architecture.name
    if descriptor.purpose not in ("SR", "Restoration"):
        needs = {"Inpainting": "fills in masked holes", "FaceSR": "restores cropped faces"}[descriptor.purpose]
        raise WeightsError(f"{path} is {name}, which {needs}, expected a network that restores whole images")
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (3, 3):
        raise WeightsError(
            f"{path} is {name} from {channels[0]} to {channels[1]} channels, expected one from RGB to RGB (3 to 3)"
        )


def _find(weights: Path, info: ValidationInfo) -> Path:
    try:
        return resolve(str(weights), (info.context or {}).get("folder", Path()))
    except WeightsError as error:
        raise ValueError(str(error)) from error


class SpandrelConfig(StageConfig):
    """Options of ``stage: spandrel``."""

    summary: ClassVar[str] = "any: file of another project"
    stage: Literal["spandrel"] = "spandrel"
    weights: Annotated[Path, AfterValidator(_find)] = Field(
        description="a name that `restorechain weights list` shows, or a published .pth, .pt, .ckpt or .safetensors, "
        "relative to the YAML"
    )
    halo: int | None = Field(
        None,
        ge=0,
        description="pixels that tiles overlap by, against the memory of a whole image; tiles are seam-free by "
        "themselves where the architecture is known to be plain convolutions",
    )

    def build(self) -> Spandrel:
        """Read the file and build its network.

        Raises:
            WeightsError: if spandrel is not installed, or the file is not one of a network from RGB to RGB images.
        """
        path = obtain(self.weights) if is_entry(self.weights) else self.weights
        return Spandrel(load_descriptor(path), halo=self.halo)
