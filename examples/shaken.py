"""Compose the image of ``docs/shaken.md``: scikit-image's astronaut as if the camera had shaken, and what the stage
makes of it, each with its kernel: the one that was drawn, and the one that was found.

``python examples/shaken.py docs/shaken.png``
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data

from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.findings import collected_findings
from train.degradation import functions

# The part shown.
ROWS, COLUMNS = slice(10, 270), slice(120, 400)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(5)
    kernel = functions.shake_kernels(torch.tensor([13.0]), 25, generator)
    clean = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1)[None].float() / 255
    light = functions.blur(functions.to_linear_light(clean), kernel)
    shaken = functions.add_gaussian_noise(functions.from_linear_light(light), torch.tensor([2.0]), generator)
    shaken = functions.quantise(shaken)
    with collected_findings() as found:
        restored = BlindDeconvolutionConfig().build().eval()(shaken)
    estimate = found[0].kernel
    assert estimate is not None
    panels = [with_kernel(shaken, kernel[0]), with_kernel(functions.quantise(restored), estimate)]
    gap = np.full((panels[0].shape[0], 8, 3), 255, np.uint8)
    cv2.imwrite(str(options.output), np.concatenate([panels[0], gap, panels[1]], axis=1))


def with_kernel(image: torch.Tensor, kernel: torch.Tensor) -> np.ndarray:
    """Return the part of an image that is shown, as BGR, with the kernel in its upper left corner."""
    shown = (image[0, :, ROWS, COLUMNS].flip(0) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    levels = (kernel / kernel.max() * 255).numpy().astype(np.uint8)
    drawn = cv2.resize(levels, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    shown[: drawn.shape[0], : drawn.shape[1]] = drawn[..., None]
    return shown


if __name__ == "__main__":
    main()
