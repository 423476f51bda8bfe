"""A network run by ncnn. Run as a script, this file reads images from a file and writes the results to another:

    python -P ncnn_network.py MODEL_FOLDER THREADS GIVEN.npz MADE.npz

ncnn ends its process where a graph holds what it does not know. So every network is run by this script before it is
run in the user's process. The script has to start fast, hence it imports nothing else of this project.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

PARAM, WEIGHTS = "model.param", "model.bin"
_OUT_OF_MEMORY = -100
_HALF_PRECISION = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)


class Network:
    """A converted network, ready to run in fp32 on a CPU, also for several threads at once.

    Args:
        folder: Holds ``PARAM`` and ``WEIGHTS``.
        threads: How many of its own it uses for each image.

    Raises:
        RuntimeError: if ncnn cannot read it, or does not know a layer.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        # Pools of the networks' own would each hold what one tile took for as long as they live.
        self._pools = (ncnn.PoolAllocator(), ncnn.PoolAllocator())
        self._net.opt.blob_allocator, self._net.opt.workspace_allocator = self._pools
        for option in _HALF_PRECISION:
            setattr(self._net.opt, option, False)
        if self._net.load_param(str(folder / PARAM)) or self._net.load_model(str(folder / WEIGHTS)):
            raise RuntimeError("ncnn cannot read it")

    def __call__(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Run on ``(B, 3, H, W)`` in float32, image by image, because ncnn takes no batches."""
        made = np.stack([self._run(np.ascontiguousarray(image)) for image in images])
        for pool in self._pools:
            pool.clear()
        return made

    def _run(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        # A layer that works in place would crash on memory that is not ncnn's own, hence the copy.
        given = ncnn.Mat(image).clone()
        extractor = self._net.create_extractor()
        extractor.input("in0", given)
        failure, result = extractor.extract("out0")
        if failure == _OUT_OF_MEMORY:
            raise MemoryError("ncnn ran out of memory")
        if failure:
            raise RuntimeError(f"ncnn failed with code {failure}")
        return np.asarray(result)


def main(folder: str, threads: str, given: str, made: str) -> None:
    """Run a network on the images in a file."""
    network = Network(Path(folder), int(threads))
    with np.load(given) as images:
        np.savez(made, *map(network, images.values()))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RuntimeError, MemoryError) as error:
        sys.exit(str(error))
