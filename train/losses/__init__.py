"""What training minimizes: losses that are formulas, perceptual losses and their weighted sum."""

# Lets torchvision, and so Lightning, be imported beside a torch without CUDA.
from stages import torchvision_guard as _torchvision_guard  # noqa: F401
