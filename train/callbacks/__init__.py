"""Lightning callbacks: schedules, checks, progress, checkpoints, sheets of images and curves."""

# Lets torchvision, and so Lightning, be imported beside a torch without CUDA.
from stages import torchvision_guard as _torchvision_guard  # noqa: F401
