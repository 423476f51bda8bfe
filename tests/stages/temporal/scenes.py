"""Small made-up scenes with known motion."""

import cv2
import numpy as np
import torch
from torch import Tensor


def texture(height: int = 96, width: int = 128, seed: int = 0) -> Tensor:
    """Return a colour image with detail of all sizes, ``(3, H, W)``, 0.2 to 0.8."""
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    image = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.0, 2.0, 4.0, 8.0))
    image = cv2.normalize(image, None, 0.2, 0.8, cv2.NORM_MINMAX)
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def pan(frames: int, step: int = 3, height: int = 96, width: int = 128) -> Tensor:
    """Return frames of a camera that turns right by whole pixels, ``(N, 3, H, W)``."""
    scene = texture(height, width + step * frames)
    return torch.stack([scene[..., step * at : step * at + width] for at in range(frames)])


def noisy(frames: Tensor, sigma: float, seed: int = 1) -> Tensor:
    """Add white noise of a standard deviation in gray levels."""
    return frames + torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed)) * sigma / 255


def psnr(image: Tensor, clean: Tensor) -> float:
    """Return the PSNR in dB."""
    return -10 * torch.log10((image - clean).square().mean()).item()
