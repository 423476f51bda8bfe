"""Make the example photos: scikit-image's, reduced to half, out of focus and noisy as from a cheap camera.

``python examples/make.py`` writes them beside itself. Sources and terms are in the README here.
"""

from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch

from train.degradation.sequence import Blur, Degradation, Downscale, GaussianNoise, Quantise, degrade

FOLDER = Path(__file__).parent
PHOTOS = {"astronaut": ".png", "chelsea": ".png", "coffee": ".jpg", "rocket": ".png", "camera": ".png"}
RECIPE: Degradation = [
    Blur(gaussian=[1.2, 1.6], weights=[1.0, 0.0, 0.0, 0.0, 0.0]),
    Downscale(factor=2),
    GaussianNoise(sigma=[8.0, 14.0]),
    Quantise(),
]


def main() -> None:
    """Write every example."""
    for seed, (name, suffix) in enumerate(PHOTOS.items()):
        clean = getattr(skimage.data, name)()
        degraded = degrade_example(clean, torch.Generator().manual_seed(seed))
        encoded = degraded[..., ::-1] if degraded.ndim == 3 else degraded
        cv2.imwrite(str(FOLDER / f"{name}{suffix}"), encoded, [cv2.IMWRITE_JPEG_QUALITY, 95])


def degrade_example(clean: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Degrade ``(H, W, 3)`` or ``(H, W)`` uint8."""
    planes = torch.from_numpy(np.atleast_3d(clean)).permute(2, 0, 1).unsqueeze(0).float() / 255
    even = planes[..., : planes.shape[-2] // 2 * 2, : planes.shape[-1] // 2 * 2]
    degraded = degrade(even, RECIPE, generator)
    pixels = degraded[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    return pixels.reshape(pixels.shape[:2]) if clean.ndim == 2 else pixels


if __name__ == "__main__":
    main()
