"""LPIPS, the perceptual distance of two images by a network trained on photos; lower is better."""

from __future__ import annotations

from http.client import HTTPException

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from stages.extras import install_hint

SMALLEST = 32
_BACKBONE = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"


class Lpips:
    """Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
    CVPR 2018, on AlexNet with the authors' linear layers (version 0.1), as in torchmetrics.

    torchvision downloads AlexNet's ImageNet weights (233 MB) into torch's cache where they are not there yet.

    Raises:
        ConfigError: if a package is missing, or the weights are and cannot be downloaded.
    """

    def __init__(self) -> None:
        try:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            self._distance = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
        except ImportError as error:
            raise ConfigError(f"lpips: {error.name} is missing; {install_hint('train')}") from error
        except (OSError, HTTPException, RuntimeError) as error:  # the last for a broken download
            raise ConfigError(
                f"lpips: AlexNet's weights cannot be downloaded ({error}); put {_BACKBONE} into "
                f"{torch.hub.get_dir()}/checkpoints, or turn lpips off"
            ) from error

    def __call__(self, restored: Tensor, clean: Tensor) -> float:
        """Return the distance of two images; 0 for equal ones.

        Args:
            restored: RGB, ``(1, 3, H, W)`` in ``[0, 1]``.
            clean: The same size.

        Raises:
            ValueError: if a side is shorter than 32 pixels.
        """
        height, width = clean.shape[-2:]
        if min(height, width) < SMALLEST:
            raise ValueError(f"LPIPS needs {SMALLEST}x{SMALLEST} pixels or more, got {width}x{height}")
        with torch.inference_mode():
            return float(self._distance(restored, clean))
