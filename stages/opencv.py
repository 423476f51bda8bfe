"""Run filters of single NumPy images, such as OpenCV's, on batches of tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def map_arrays(function: Callable[[Array], Array], image: Tensor) -> Tensor:
    """Run a function of arrays over a batch; no gradients pass, and on a GPU it waits for the CPU.

    Args:
        function: Takes and returns RGB ``(H, W, 3)``, float32 in ``[0, 1]``.
        image: ``(B, 3, H, W)``. On the meta device nothing is computed.

    Returns:
        The results, on the image's device and in its dtype.
    """
    if image.is_meta:
        return image
    arrays = image.detach().float().permute(0, 2, 3, 1).cpu().numpy()
    results = np.stack([function(np.ascontiguousarray(array)) for array in arrays])
    return torch.from_numpy(results).permute(0, 3, 1, 2).to(image)


def map_windows(function: Callable[[list[Array]], Array], windows: Tensor) -> Tensor:
    """Run a function of a video's neighbouring frames over a batch, as ``map_arrays`` does.

    Args:
        function: Takes an odd number of frames, RGB ``(H, W, 3)``, float32 in ``[0, 1]``; returns the middle one.
        windows: ``(B, frames, 3, H, W)``. On the meta device nothing is computed.

    Returns:
        The results, ``(B, 3, H, W)``, on the windows' device and in their dtype.
    """
    if windows.is_meta:
        return windows[:, windows.shape[1] // 2]
    results = []
    for window in windows.detach():  # one after another: their frames are many
        arrays = window.float().permute(0, 2, 3, 1).cpu().numpy()
        results.append(function(list(map(np.ascontiguousarray, arrays))))
    return torch.from_numpy(np.stack(results)).permute(0, 3, 1, 2).to(windows)
