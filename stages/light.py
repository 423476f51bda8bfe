"""How light becomes the numbers of a file, and back."""

from torch import Tensor


def to_linear_light(image: Tensor) -> Tensor:
    """Undo the camera's tone curve (gamma 2.2, as the GoPro data set assumes)."""
    return image.clamp_min(0).pow(2.2)


def from_linear_light(image: Tensor) -> Tensor:
    """Apply the camera's tone curve; the inverse of `to_linear_light`."""
    # The gradient of a root is infinite at zero; half an 8-bit level's light is black.
    return image.clamp_min(1e-6).pow(1 / 2.2)
