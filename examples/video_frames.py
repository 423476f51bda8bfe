"""Compose the image of ``docs/video-frames.md`` from a pan over scikit-image's cat with white noise: a frame of it,
denoised by itself, denoised with its neighbours, and without noise.

``python examples/video_frames.py docs/video-frames.png``
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data
from torch import Tensor

from stages.registry import load_stage
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.weights import resolve
from train.degradation import functions

FRAMES, STEP, HEIGHT, WIDTH = 7, 3, 296, 416
# The part shown.
ROWS, COLUMNS = slice(60, 220), slice(100, 300)


@torch.inference_mode()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    scene = torch.from_numpy(data.chelsea().copy()).permute(2, 0, 1).float() / 255
    clean = torch.stack([scene[:, :HEIGHT, STEP * at : STEP * at + WIDTH] for at in range(FRAMES)])
    generator = torch.Generator().manual_seed(2)
    noisy = functions.quantise(functions.add_gaussian_noise(clean, torch.tensor([25.0]), generator))
    middle = noisy[FRAMES // 2][None]
    network = load_stage(resolve("denoise_blind", Path()))
    averaged = TemporalDenoiseConfig(radius=FRAMES // 2).build()(noisy[None])
    panels = [middle, network(middle), network(averaged), clean[FRAMES // 2][None]]
    gap = np.full((panel_of(middle).shape[0], 6, 3), 255, np.uint8)
    rows = [part for panel in panels for part in (panel_of(panel), gap)]
    cv2.imwrite(str(options.output), np.concatenate(rows[:-1], axis=1))


def panel_of(image: Tensor) -> np.ndarray:
    """Return the part of an image that is shown, as BGR."""
    shown = functions.quantise(image)[0, :, ROWS, COLUMNS].flip(0) * 255
    return shown.permute(1, 2, 0).round().numpy().astype(np.uint8)


if __name__ == "__main__":
    main()
