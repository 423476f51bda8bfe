"""Copies between the host and the device that nobody has to wait for.

    up      host -> pinned memory -> device    what the device is given to do next waits for it, the host does not
    down    device -> pinned memory            whoever asks for the result waits, for this copy and no more

On CUDA they have streams of their own, so that they run beside the computing. On other devices torch's plain copies
are made, and on a CPU there is nothing to copy.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


class Download:
    """A tensor on its way to the host.

    Args:
        here: Where it arrives.
        arrived: Happens when it has arrived; None if it is there already.
    """

    def __init__(self, here: Tensor, arrived: torch.cuda.Event | None = None) -> None:
        self._here = here
        self._arrived = arrived

    def result(self) -> Tensor:
        """Wait for the tensor and return it, on the host."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._here


def up(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on the device, for use on the stream that is current there."""
    if device.type != "cuda":
        return tensor.to(device)
    computing, copying = torch.cuda.current_stream(device), _stream(device, "up")
    with torch.cuda.stream(copying):
        pinned = torch.empty_like(tensor, pin_memory=True).copy_(tensor)  # closes the gaps between a region's rows
        there = pinned.to(device, non_blocking=True)
    computing.wait_stream(copying)
    there.record_stream(computing)  # its memory is the copying stream's, which must not use it again too early
    return there


def down(tensor: Tensor) -> Download:
    """Begin to copy a tensor to the host, as it is after all that the current stream was given to do so far."""
    if not tensor.is_cuda:
        return Download(tensor.cpu())
    copying = _stream(tensor.device, "down")
    copying.wait_stream(torch.cuda.current_stream(tensor.device))
    with torch.cuda.stream(copying):
        here = torch.empty_like(tensor, device="cpu", pin_memory=True)
        here.copy_(tensor, non_blocking=True)
        arrived = copying.record_event()
    tensor.record_stream(copying)  # its memory is the computing stream's, which must not use it again too early
    return Download(here, arrived)


@lru_cache
def _stream(device: torch.device, way: str) -> torch.cuda.Stream:
    """Return the one stream of a device for copies one way; they have an engine of their own each in the hardware."""
    return torch.cuda.Stream(device)
