from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError
from stages.dncnn import DnCNNConfig
from stages.stage import StageConfig
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.unsharp_mask import UnsharpMaskConfig

DENOISER = DnCNNConfig(depth=4, width=6, unshuffle=2, skips=True, batch_norm=False, noise_level_input=True, estimator=4)


def engine_of(configs: Sequence[StageConfig], **options: object) -> Engine:
    torch.manual_seed(0)
    chain = Chain.build(ChainConfig(stages=tuple(configs)))
    for stage in chain.stages:
        for parameter in stage.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return Engine(chain, device="cpu", **options)


def photo(height: int = 150, width: int = 210) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("configs", [[DENOISER], [UnsharpMaskConfig(), DENOISER]], ids=["alone", "second"])
def test_tiles_share_the_noise_level_of_the_whole_image(configs: list[StageConfig]) -> None:
    whole, tiled = (engine_of(configs, tile=tile).run(photo()) for tile in (0, 64))
    assert tiled.tile == 64
    np.testing.assert_allclose(tiled.pixels.astype(int), whole.pixels.astype(int), atol=1)
    assert tiled.noise_levels == whole.noise_levels
    assert whole.noise_levels["dncnn"] > 0


def test_every_frame_has_its_own_noise_level() -> None:
    frames = torch.rand(2, 3, 40, 40) * torch.tensor([1.0, 0.3]).view(2, 1, 1, 1)
    engine = engine_of([DENOISER])
    together = engine.run_frames(frames).pixels
    alone = torch.cat([engine.run_frames(frame[None]).pixels for frame in frames])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (600, 131)])
def test_images_of_any_size_are_measured(size: tuple[int, int]) -> None:
    assert engine_of([DENOISER]).run(photo(*size)).pixels.shape == (*size, 3)


def test_a_given_noise_level_is_used_and_reported() -> None:
    given = ChainConfig(stages=(DENOISER,)).with_noise_levels({"dncnn": 12.0})
    assert engine_of(given.stages).run(photo()).noise_levels == {"dncnn": 12.0}
    assert given.fingerprint() != ChainConfig(stages=(DENOISER,)).fingerprint()


def test_a_stage_for_videos_is_given_a_noise_level_where_it_runs() -> None:
    given = ChainConfig(stages=(TemporalDenoiseConfig(),)).with_noise_levels({"temporal_denoise": 12.0})
    chain = Chain.build(given)
    assert chain.given_noise_levels == {}  # of an image
    assert [part.given_noise_levels for part in chain.parts()] == [{"temporal_denoise": 12.0}]


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("edsr", 12, "the chain has no stage 'edsr'"),
        ("unsharp_mask", 12, "takes no noise level"),
        ("dncnn", 80, "got 80, expected a number from 0 to 75"),
    ],
)
def test_noise_levels_that_do_not_fit_are_refused(name: str, level: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChainConfig(stages=(DENOISER, UnsharpMaskConfig())).with_noise_levels({name: level})
