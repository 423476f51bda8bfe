"""Training, one stage at a time, alone or inside a chain."""

# Lets torchvision, and so Lightning, be imported beside a torch without CUDA.
from stages import torchvision_guard as _torchvision_guard  # noqa: F401
