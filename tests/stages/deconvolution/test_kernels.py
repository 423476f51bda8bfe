import pytest
import torch

from stages.blind_deconvolution import motion_kernel
from stages.deconvolution.kernels import connected_share


def test_a_track_is_connected_and_points_far_from_each_other_are_not() -> None:
    points = torch.zeros(15, 15)
    points[3, 3], points[10, 10] = 0.7, 0.3
    assert connected_share(points) == pytest.approx(0.7)
    assert connected_share(motion_kernel(13, 30)) == pytest.approx(1)


def test_a_gap_of_two_pixels_does_not_part_a_kernel() -> None:
    line = torch.zeros(9, 9)
    line[4, [0, 3, 6]] = 1 / 3
    assert connected_share(line) == pytest.approx(1)
