import pytest
import torch
from torch import Tensor

from stages.temporal_fusion import TemporalFusionConfig
from tests.stages.temporal.scenes import noisy, pan, psnr, texture


def restored(frames: Tensor) -> Tensor:
    """The frame in the middle of a window."""
    return TemporalFusionConfig(radius=len(frames) // 2).build()(frames[None])[0]


def blurred(frame: Tensor, length: int) -> Tensor:
    """Blur along rows."""
    kernel = torch.full((3, 1, 1, length), 1 / length)
    padded = torch.nn.functional.pad(frame[None], (length // 2, length // 2, 0, 0), mode="replicate")
    return torch.nn.functional.conv2d(padded, kernel, groups=3)[0]


def test_a_blurred_frame_takes_the_detail_of_sharp_neighbours() -> None:
    clean = pan(5)
    frames = clean.clone()
    frames[2] = blurred(clean[2], 7)
    assert psnr(restored(frames), clean[2]) - psnr(frames[2], clean[2]) > 3


def test_a_sharp_frame_takes_nothing_of_blurred_ones() -> None:
    frames = torch.stack([blurred(frame, 7) for frame in pan(5)])
    frames[2] = pan(5)[2]
    assert psnr(restored(frames), frames[2]) > 60


def test_a_sharp_pan_stays_as_it_is() -> None:
    frames = pan(5)
    assert psnr(restored(frames), frames[2]) > 50


def test_something_else_lends_no_detail() -> None:
    frames = torch.stack([texture(seed=seed) for seed in range(5)])
    frames[2] = blurred(frames[2], 7)
    assert psnr(restored(frames), frames[2]) > 45


def test_a_fade_lends_no_contrast() -> None:
    title = (texture()[:1] > 0.6).float().expand(3, -1, -1)
    frames = torch.stack([title * (0.1 + 0.05 * at) for at in range(5)])
    assert psnr(restored(frames), frames[2]) > 60


def test_other_detail_at_the_same_place_is_not_taken() -> None:
    """As of water: what blur leaves of a place is the same, and the finest detail is stronger, but not the same."""
    place = torch.nn.functional.interpolate(texture(12, 16)[None], (96, 128), mode="bicubic")[0]
    frames = torch.stack([noisy(place, 12 if at != 2 else 8, seed=at) for at in range(5)])
    assert psnr(restored(frames), frames[2]) > 42


def test_a_frame_with_one_soft_corner_stays_as_it_is() -> None:
    frames = pan(5)
    frames[2, :, :24, :24] = blurred(frames[2, :, :24, :24], 7)
    assert psnr(restored(frames), frames[2]) > 55


def test_noise_is_not_taken_for_detail_of_the_noisier() -> None:
    clean = texture().expand(3, -1, -1, -1)
    frames = noisy(clean, 3)
    assert psnr(restored(frames), clean[1]) > psnr(frames[1], clean[1]) - 0.3


@pytest.mark.parametrize(("height", "width"), [(33, 35), (97, 131)])
def test_odd_sizes(height: int, width: int) -> None:
    frames = pan(3, height=height, width=width)
    assert restored(frames).shape == (3, height, width)


def test_frames_without_neighbours_come_back() -> None:
    frame = texture()
    assert torch.equal(restored(frame.repeat(5, 1, 1, 1)), frame)
