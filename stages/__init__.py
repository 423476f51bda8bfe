"""Restoration stages: networks and filters behind one contract."""

from stages import torchvision_guard as _torchvision_guard  # noqa: F401  (must run before anything imports torchvision)
