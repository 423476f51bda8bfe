"""Let torchvision be imported beside a CPU-only torch.

The Linux wheels of torchvision are built against CUDA. Beside a torch without CUDA their compiled library cannot
be loaded, so the operators that torchvision's own Python code refers to at import time do not exist, and
``import torchvision`` dies with "operator torchvision::nms does not exist", taking lightning, torchmetrics, timm
and spandrel with it. Declaring the two schemas is enough for all of the pure-Python part (networks, transforms,
weights); only calling ``torchvision.ops.nms`` itself still raises. CPU builds of torchvision are left alone:
there the library loads and declares the operators itself.

The schemas are declared when torchvision is first imported, so that importing ``stages`` does not import torch.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def installed_torchvision_version() -> str | None:
    """Return torchvision's version, read as text because importing it is what may fail; None if not installed."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    match = re.search(r"__version__\s*(?::\s*str\s*)?=\s*['\"]([^'\"]+)", text)
    return match.group(1) if match else None


def needs_schemas(torchvision_version: str | None, torch_cuda: str | None) -> bool:
    """Return whether this pair of builds is a CUDA torchvision beside a CPU-only torch."""
    return torchvision_version is not None and "+cu" in torchvision_version and torch_cuda is None


def declare_schemas() -> torch.library.Library:
    """Declare the missing operators; they live as long as the returned library object."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library


class _BeforeTorchvision(MetaPathFinder):
    """Declares the schemas, where they are needed, just before torchvision is looked for; finds nothing itself."""

    library: torch.library.Library | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            if needs_schemas(installed_torchvision_version(), torch.version.cuda):
                self.library = declare_schemas()
        return None


guard = _BeforeTorchvision()
if "torchvision" not in sys.modules:
    sys.meta_path.insert(0, guard)
