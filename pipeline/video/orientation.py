"""Turn pixels by a video's display matrix, so that images of its frames are upright."""

from __future__ import annotations

from pipeline.pixels import Pixels

Matrix = tuple[int, ...]
"""libav's nine integers; the first, second, fourth and fifth turn the axes."""


def is_turned_by_quarters(matrix: Matrix | None) -> bool:
    """Return whether pixels can be turned exactly: by quarters of a turn, mirrored or not."""
    if matrix is None:
        return True
    a, b, c, d = _axes(matrix)
    return bool((a == d == 0 and b and c) or (b == c == 0 and a and d))


def exchanges_sides(matrix: Matrix | None) -> bool:
    """Return whether width and height are exchanged for display."""
    return matrix is not None and is_turned_by_quarters(matrix) and matrix[0] == 0


def upright(pixels: Pixels, matrix: Matrix | None) -> Pixels:
    """Return ``(H, W, C)`` as it is displayed; unchanged for other angles than quarters of a turn."""
    if matrix is None or not is_turned_by_quarters(matrix):
        return pixels
    a, b, c, d = _axes(matrix)
    if exchanges_sides(matrix):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if d < 0 else pixels


def _axes(matrix: Matrix) -> tuple[int, int, int, int]:
    return matrix[0], matrix[1], matrix[3], matrix[4]
