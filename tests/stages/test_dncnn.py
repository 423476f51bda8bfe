import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage.metrics import peak_signal_noise_ratio

from stages.dncnn import DnCNNConfig
from stages.profile import count_parameters
from stages.registry import config_from, load_stage
from stages.weights import load_weights, read_card


def test_parameters_of_the_blind_colour_model() -> None:
    """Zhang et al.: 20 convolutions of 64 channels, batch norm folded; 668,227 in the published file."""
    assert count_parameters(DnCNNConfig(batch_norm=False).build()) == 668_227


def test_parameters_of_the_gray_model_for_one_sigma() -> None:
    """DnCNN-S: 17 convolutions of 64 channels, batch norm folded; 555,137 in KAIR's published file."""
    assert count_parameters(DnCNNConfig(channels=1, depth=17, batch_norm=False).build()) == 555_137


def test_a_gray_network_treats_colours_as_three_images() -> None:
    stage = DnCNNConfig(channels=1, depth=3, width=4, batch_norm=False).build()
    image = torch.rand(2, 3, 8, 8)
    colours = [stage(image[:, index : index + 1]) for index in range(3)]
    torch.testing.assert_close(stage(image), torch.cat(colours, dim=1))


@pytest.mark.parametrize("wrong", [{"depth": 7, "batch_norm": False}, {"depth": 8}])
def test_skips_need_pairs_of_layers_without_batch_norm(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="skips: true goes with batch_norm: false and an even depth"):
        DnCNNConfig(skips=True, **wrong)


def test_skips_start_as_the_identity() -> None:
    image = torch.rand(1, 3, 8, 8)
    stage = DnCNNConfig(skips=True, depth=6, width=4, unshuffle=2, batch_norm=False).build()
    assert torch.equal(stage(image), image)


LEVEL_INPUT = {"depth": 4, "width": 4, "unshuffle": 2, "batch_norm": False, "noise_level_input": True}


def test_a_given_noise_level_equals_its_plane() -> None:
    torch.manual_seed(0)
    auto = DnCNNConfig(**LEVEL_INPUT, estimator=4).build()
    given = DnCNNConfig(**LEVEL_INPUT, noise_level=12).build()
    given.load_state_dict(auto.state_dict(), strict=False)
    image = torch.rand(2, 3, 16, 16)
    plane = torch.full((2, 1, 16, 16), 12 / 255)
    torch.testing.assert_close(given(image), auto(torch.cat([image, plane], dim=1)))
    assert not torch.allclose(given(image), auto(torch.cat([image, 2 * plane], dim=1)), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_level_is_estimated_for_every_image_by_itself(channels: int) -> None:
    torch.manual_seed(0)
    stage = DnCNNConfig(**LEVEL_INPUT, channels=channels, estimator=4).build()
    torch.nn.init.normal_(stage.estimator.layers[-1].weight)
    image = torch.rand(2, 3, 16, 16)
    level = stage.measure(image)
    assert level.shape == (2, 1, 1, 1)
    assert level[0] != level[1]
    plane = level.expand(-1, -1, 16, 16)
    torch.testing.assert_close(stage(image), stage(torch.cat([image, plane], dim=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_level": 12}, "have no effect without noise_level_input"),
        ({"noise_level_input": True}, "got auto, expected a number from 0 to 75"),
        ({"noise_level_input": True, "noise_level": 12, "normalize": "imagenet"}, "normalize: must be none"),
    ],
)
def test_noise_level_options_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DnCNNConfig(**options)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_published_ffdnet_reaches_its_published_psnr(shared_data, published) -> None:
    """KAIR's FFDNet for colour on CBSD68, sigma 25: published 31.21 dB."""
    entry = published("ffdnet_color", "ffdnet_color_kair.pth")
    stage = config_from(read_card(entry)).model_copy(update={"noise_level": 25}).build().eval()
    load_weights(stage, entry)
    scores = []
    for path in sorted((shared_data / "test" / "CBSD68").glob("*.jpg")):
        clean = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        height, width, _ = clean.shape
        noisy = clean / 255 + np.random.default_rng(0).normal(0, 25 / 255, clean.shape)
        image = torch.from_numpy(noisy).float().permute(2, 0, 1)[None]
        padded = torch.nn.functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
        with torch.inference_mode():
            restored = stage(padded)[0, :, :height, :width].permute(1, 2, 0)
        rounded = restored.clamp(0, 1).mul(255).round().numpy().astype(np.uint8)
        scores.append(peak_signal_noise_ratio(clean, rounded))
    assert np.mean(scores) == pytest.approx(31.21, abs=0.03)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_published_gray_model_reaches_its_published_psnr(shared_data, published) -> None:
    """KAIR's DnCNN for sigma 25 on BSD68: published 29.23 dB."""
    stage = load_stage(published("dncnn_gray_25", "dncnn_gray_sigma25_kair.pth"))
    scores = []
    for path in sorted((shared_data / "test" / "CBSD68").glob("*.jpg")):
        clean = matlab_gray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
        noisy = clean / 255 + np.random.default_rng(0).normal(0, 25 / 255, clean.shape)
        with torch.inference_mode():
            restored = stage(torch.from_numpy(noisy).float()[None, None])[0, 0]
        rounded = restored.clamp(0, 1).mul(255).round().numpy().astype(np.uint8)
        scores.append(peak_signal_noise_ratio(clean, rounded))
    assert len(scores) == 68
    assert np.mean(scores) == pytest.approx(29.23, abs=0.03)


def matlab_gray(rgb: np.ndarray) -> np.ndarray:
    """MATLAB's rgb2gray, whose weights are not quite OpenCV's."""
    return (rgb @ np.array([0.298936, 0.587043, 0.114021])).round().astype(np.uint8)
