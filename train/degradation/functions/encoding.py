"""How values become the levels of a file."""

from torch import Tensor


def quantise(image: Tensor) -> Tensor:
    """Clip to ``[0, 1]`` and round to the 256 levels of a file."""
    return image.clamp(0, 1).mul(255).round().div(255)
