import cv2
import numpy as np
import pytest
from torch import Tensor

from stages.temporal import registration
from stages.temporal.registration import Neighbour, registered
from tests.stages.temporal.scenes import noisy, pan, texture


def arrays(frames: Tensor) -> list[np.ndarray]:
    return [np.ascontiguousarray(frame) for frame in frames.permute(0, 2, 3, 1).numpy()]


def neighbours_of(window: list[np.ndarray]) -> list[Neighbour]:
    return list(registered(window, cv2.INTER_CUBIC, both_ways=True))


@pytest.mark.parametrize(("height", "width"), [(96, 128), (97, 129), (64, 131)])
def test_neighbours_of_a_pan_lie_on_the_frame(height: int, width: int) -> None:
    window = arrays(pan(5, height=height, width=width))
    for neighbour in neighbours_of(window):
        assert np.abs(neighbour.image - window[2])[10:-10, 20:-20].mean() < 0.005
        assert neighbour.trust[16:-16, 24:-24].mean() > 0.95


def test_what_leaves_the_frame_is_not_trusted() -> None:
    last = neighbours_of(arrays(pan(3, step=12)))[1]  # its left part is not in the frame before
    assert last.trust[:, :6].max() < 0.1


def test_another_scene_is_hardly_trusted() -> None:
    cut = neighbours_of([*arrays(pan(2)), arrays(texture(seed=9)[None])[0]])[1]
    assert cut.trust.mean() < 0.2


def test_repeated_frames_are_left_out() -> None:
    first, second, third = arrays(noisy(pan(3), 10))
    assert len(neighbours_of([first, second, third])) == 2
    assert len(neighbours_of([second, second, third])) == 1
    assert len(neighbours_of([first, second, third, third, third])) == 2
    assert neighbours_of([second, second, second]) == []


def test_frames_too_small_for_the_search_have_no_neighbours() -> None:
    assert neighbours_of(arrays(pan(3, height=31, width=40))) == []


def test_the_result_does_not_depend_on_threads_or_what_ran_before() -> None:
    windows = [arrays(noisy(pan(7), 10))[at : at + 5] for at in (0, 2)]
    threads = cv2.getNumThreads()
    found = []
    try:
        for order, number in (((0, 1), 1), ((1, 0), 2)):
            cv2.setNumThreads(number)
            registration._flow.cache_clear()
            results = {at: neighbours_of(windows[at]) for at in order}
            found.append([neighbour for at in (0, 1) for neighbour in results[at]])
    finally:
        cv2.setNumThreads(threads)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.trust, other.trust)
