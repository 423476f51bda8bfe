import math

import pytest
import torch
from torch import Tensor

from stages.temporal_denoise import TemporalDenoiseConfig
from tests.stages.temporal.scenes import noisy, pan, psnr, texture


def restored(frames: Tensor, **options: object) -> Tensor:
    """The frame in the middle of a window."""
    config = TemporalDenoiseConfig(radius=len(frames) // 2, **options)
    return config.build()(frames[None])[0]


@pytest.mark.parametrize("options", [{}, {"noise_level": 10.0}])
def test_a_static_scene_gains_most_of_what_averaging_can(options: dict[str, float]) -> None:
    clean = texture().expand(5, -1, -1, -1)
    frames = noisy(clean, 10)
    gain = psnr(restored(frames, **options), clean[2]) - psnr(frames[2], clean[2])
    assert gain > 0.8 * 10 * math.log10(5)


def test_a_pan_gains_as_well() -> None:
    clean = pan(5)
    frames = noisy(clean, 15)
    assert psnr(restored(frames), clean[2]) - psnr(frames[2], clean[2]) > 4.5


def test_a_moving_square_leaves_no_ghost() -> None:
    """Where it was and will be, the result is no farther from the truth than the noisy frame."""
    clean = texture(120, 160).repeat(5, 1, 1, 1)
    for at in range(5):
        clean[at, :, 40:80, 20 + 22 * at : 60 + 22 * at] = torch.tensor([0.95, 0.1, 0.1]).view(3, 1, 1)
    frames = noisy(clean, 10)
    error = (restored(frames) - clean[2]).square().mean(dim=0)[None, None]
    worst = torch.nn.functional.avg_pool2d(error, 6, stride=2).max().sqrt() * 255
    assert worst < 1.3 * 10


def test_a_repeated_frame_counts_once() -> None:
    first, second, third = noisy(texture().expand(3, -1, -1, -1), 10)
    once = restored(torch.stack([first, second, third]))
    assert torch.equal(restored(torch.stack([first, first, second, third, third])), once)
    later = restored(torch.stack([third, second, second, second, first]))
    assert torch.allclose(later, once, atol=1e-6)


def test_frames_without_neighbours_come_back() -> None:
    frame = noisy(texture()[None], 10)
    assert torch.equal(restored(frame.repeat(5, 1, 1, 1)), frame[0])


def test_a_flash_does_no_harm() -> None:
    clean = texture().expand(5, -1, -1, -1)
    frames = noisy(clean, 10)
    frames[3] = (frames[3] + 0.3).clamp(0, 1)
    assert psnr(restored(frames), clean[2]) - psnr(frames[2], clean[2]) > 4


def test_a_clean_pan_stays_as_it_is() -> None:
    clean = (pan(5) * 255).round() / 255
    assert psnr(restored(clean), clean[2]) > 50


def test_faint_noise_stays() -> None:
    """Of a good camera; it would be a loss of detail, and not worth it."""
    clean = texture().expand(5, -1, -1, -1)
    frames = noisy(clean, 1.6)
    assert psnr(restored(frames), frames[2]) > 55


def test_noise_whose_pixels_vary_together_is_averaged_as_well() -> None:
    clean = texture().expand(7, -1, -1, -1)
    frames = clean + torch.nn.functional.avg_pool2d(noisy(torch.zeros(7, 3, 98, 130), 30), 3, stride=1)
    assert psnr(restored(frames), clean[3]) - psnr(frames[3], clean[3]) > 7


def test_noise_that_grows_with_the_light_is_averaged_everywhere() -> None:
    ramp = torch.linspace(0.1, 0.9, 128).expand(3, 96, -1)
    clean = (ramp + 0.2 * (texture() - 0.5)).expand(5, -1, -1, -1)
    frames = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(3)) * ramp * 20 / 255
    result = restored(frames)
    for side in (slice(0, 40), slice(88, 128)):
        assert psnr(result[..., side], clean[2][..., side]) - psnr(frames[2][..., side], clean[2][..., side]) > 4


@pytest.mark.parametrize("options", [{}, {"noise_level": 25.0}])
def test_black_and_white_come_back_from_clipped_noise(options: dict[str, float]) -> None:
    clean = texture().repeat(7, 1, 1, 1)
    clean[..., :40], clean[..., 88:] = 0.0, 1.0
    result = restored(noisy(clean, 25).clamp(0, 1), **options)
    assert result[..., 5:35].mean() < 2.5 / 255
    assert result[..., 93:].mean() > 252.5 / 255


def test_even_areas_are_averaged_although_flow_wanders_in_them() -> None:
    clean = torch.full((7, 3, 96, 128), 0.4)
    frames = noisy(clean, 25)
    assert psnr(restored(frames), clean[3]) - psnr(frames[3], clean[3]) > 0.8 * 10 * math.log10(7)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="radius"):
        TemporalDenoiseConfig(radius=0)
    with pytest.raises(ValueError, match="noise_level"):
        TemporalDenoiseConfig(noise_level=-1.0)
