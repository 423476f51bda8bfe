"""Compose the README's image: examples upscaled by bicubic interpolation above the default chain's results.

``python examples/before_after.py restored docs/before_after.png``, after ``run_pipeline.py examples -o restored``.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

EXAMPLES = Path(__file__).parent
# Name and the top left corner of the part shown, in pixels of the restored image.
PARTS = {"coffee.jpg": (60, 190), "astronaut.png": (0, 110), "chelsea.png": (20, 90)}
SIDE = 264
GAP = 8


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("restored", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    columns = [column(name, corner, options.restored) for name, corner in PARTS.items()]
    cv2.imwrite(str(options.output), join(columns, axis=1))


def column(name: str, corner: tuple[int, int], restored: Path) -> np.ndarray:
    """Return the part of one photo before and, below it, after."""
    after = cv2.imread(str(restored / name))
    before = cv2.resize(cv2.imread(str(EXAMPLES / name)), after.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return join([cut(before, corner), cut(after, corner)], axis=0)


def cut(image: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Cut a square of ``SIDE`` pixels."""
    top, left = corner
    return image[top : top + SIDE, left : left + SIDE]


def join(images: list[np.ndarray], axis: int) -> np.ndarray:
    """Put images beside (axis 1) or below (axis 0) each other, with a white gap."""
    shape = list(images[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    parts = [part for image in images for part in (gap, image)][1:]
    return np.concatenate(parts, axis=axis)


if __name__ == "__main__":
    main()
