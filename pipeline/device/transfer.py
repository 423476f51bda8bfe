"""Asynchronous copies between host and device.

    up      host -> pinned memory -> device    later work on the device waits for it, the host does not
    down    device -> pinned memory            reading the result waits for this copy only

On CUDA they use streams of their own, in parallel with the computation. Other devices use torch's plain copies, and a
CPU needs none.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


class Download:
    """A tensor on its way to the host.

    Args:
        here: Its destination.
        arrived: Event that ends the copy; None if there is nothing to wait for.
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
    """Start to copy a tensor to the host, after the work queued on the current stream so far."""
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
    """Return a device's stream for copies in one direction; each direction has its own copy engine."""
    return torch.cuda.Stream(device)
