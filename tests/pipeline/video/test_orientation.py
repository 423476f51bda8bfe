"""Images of frames are upright."""

import numpy as np
import pytest

from pipeline.video.orientation import exchanges_sides, is_turned_by_quarters, upright

ONE = 65536
STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ((ONE, 0, 0, ONE), [[1, 2, 3], [4, 5, 6]]),
        ((0, ONE, -ONE, 0), [[4, 1], [5, 2], [6, 3]]),  # a quarter to the right
        ((0, -ONE, ONE, 0), [[3, 6], [2, 5], [1, 4]]),
        ((-ONE, 0, 0, -ONE), [[6, 5, 4], [3, 2, 1]]),
        ((-ONE, 0, 0, ONE), [[3, 2, 1], [6, 5, 4]]),
        ((0, ONE, ONE, 0), [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_pixels_are_turned_as_displayed(axes, expected):
    a, b, c, d = axes
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    assert upright(STORED, matrix)[..., 0].tolist() == expected
    assert exchanges_sides(matrix) == (len(expected) == 3)


def test_other_angles_are_left_as_stored():
    matrix = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    assert not is_turned_by_quarters(matrix)
    assert upright(STORED, matrix) is STORED
