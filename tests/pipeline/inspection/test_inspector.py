from pathlib import Path

import numpy as np
import pytest
import torch

import pipeline.inspection.inspector
from pipeline.chain.config import ChainConfig
from pipeline.errors import ConfigError
from pipeline.images import read_image
from pipeline.images.writer import quantised
from pipeline.inspection.inspector import Inspector
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig

CHAIN = ChainConfig(
    stages=(
        UnsharpMaskConfig(),
        UNetConfig(width=4, levels=2),
        EDSRConfig(width=4, depth=1),
        DnCNNConfig(depth=3, width=4, batch_norm=False),
    )
)
PHOTO = np.random.default_rng(0).integers(0, 256, (21, 37, 3), np.uint8)


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing sheets takes nine tenths of the time; tests/pipeline/inspection/test_heat_maps.py looks at them."""
    monkeypatch.setattr(pipeline.inspection.inspector, "rendered", lambda figure: np.zeros((4, 4, 3), np.uint8))


def inspect(target: str, folder: Path, pixels: np.ndarray = PHOTO) -> list[str]:
    return Inspector(CHAIN, target, device="cpu").inspect(pixels, folder)


def test_every_level_gets_an_overlay_of_the_images_size(tmp_path: Path) -> None:
    (line,) = inspect("unet", tmp_path)
    assert line == f"5 levels of unet: {tmp_path / 'unet.png'}"
    levels = ["01_encoder.0", "02_encoder.1", "03_up.0", "04_decoder.0", "05_tail"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("unet.png", "unet_receptive_field.png"),
        *(f"unet_{level}.png" for level in levels),
    }
    for level in levels:
        assert read_image(tmp_path / f"unet_{level}.png").pixels.shape == PHOTO.shape


def test_one_level_and_modules_inside_it(tmp_path: Path) -> None:
    inspect("unet:encoder.1", tmp_path)
    inspect("unet:encoder.1.conv1", tmp_path)
    assert len(list(tmp_path.glob("unet_01_encoder.1*.png"))) == 2


def test_a_stage_after_upscaling_sees_the_larger_image(tmp_path: Path) -> None:
    inspect("dncnn", tmp_path)
    assert read_image(next(tmp_path.glob("dncnn_01_*.png"))).pixels.shape == (42, 74, 3)


def test_a_stage_sees_what_those_before_it_make() -> None:
    given = Inspector(CHAIN, "unet", device="cpu")._given(PHOTO)
    image = torch.from_numpy(PHOTO).permute(2, 0, 1)[None] / 255
    expected = UnsharpMaskConfig().build()(image).clamp(0, 1)[0].permute(1, 2, 0)
    torch.testing.assert_close(torch.from_numpy(given), expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_gray_and_deep_pixels(dtype: type, tmp_path: Path) -> None:
    inspect("unet:tail", tmp_path, quantised(PHOTO[..., 0], np.dtype(dtype)))
    assert read_image(tmp_path / "unet_01_tail.png").pixels.dtype == np.uint8


def test_little_memory_shows_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.inspection.inspector, "free_memory", lambda device: 200_000)
    _, part = inspect("unet:tail", tmp_path, np.zeros((200, 300, 3), np.uint8))
    height, width, _ = read_image(tmp_path / "unet_01_tail.png").pixels.shape
    assert part == f"only the middle {width}x{height} of 300x200 fits into memory"
    assert width / height == pytest.approx(1.5, rel=0.2)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("unett", r"stage: the chain has no stage 'unett'; did you mean 'unet'\?"),
        ("unsharp_mask", "unsharp_mask has no trained layers"),
        ("unet:encoder.7", r"no layer 'encoder.7' .*Its levels: all, encoder.0, encoder.1, up.0, decoder.0, tail"),
    ],
)
def test_wrong_names_are_refused_with_the_valid_ones(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Inspector(CHAIN, target, device="cpu")
