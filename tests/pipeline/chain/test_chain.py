"""Chains: what follows from their stages, and loading them from a file."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from pipeline import Chain, Engine
from pipeline.errors import ConfigError
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig
from stages.weights import Card, save_weights
from tests.pipeline.chains import MeanOfFramesConfig, chain_of, video_chain

DNCNN = DnCNNConfig(depth=3, width=8)
EDSR = EDSRConfig(scale=2, width=8, depth=1)


@pytest.fixture
def chain_file(tmp_path):
    """A chain with a weights file of its own beside it."""
    stage = DNCNN.build()
    config = {"stage": "dncnn", **DNCNN.architecture()}
    save_weights(tmp_path / "small.safetensors", stage, Card(config=config))
    path = tmp_path / "chain.yaml"
    path.write_text("stages: [{stage: dncnn, weights: small.safetensors, strength: 0.5}, {stage: unsharp_mask}]")
    return path


def test_scale_and_multiple_follow_from_the_stages():
    chain = chain_of(DNCNN, EDSR, UNetConfig(width=4, levels=4), UnsharpMaskConfig(), EDSR)
    assert chain.scale == 4
    assert chain.multiple_of == 8 // 2


def test_halo_is_the_sum_in_pixels_of_the_image():
    chain = chain_of(DNCNN, EDSR, UnsharpMaskConfig(sigma=1.0))
    assert chain.halo == 3 + chain.stages[1].halo + 2


def test_a_stage_at_strength_zero_asks_for_nothing():
    chain = chain_of(DNCNN.model_copy(update={"strength": 0.0}), UNetConfig(width=4, strength=0.0))
    assert (chain.halo, chain.multiple_of) == (0, 1)


def test_blending_with_the_bicubic_upscale_counts_in_the_halo():
    assert chain_of(EDSR.model_copy(update={"strength": 0.0})).halo == 2


def test_repeated_stages_are_numbered():
    assert chain_of(DNCNN, UnsharpMaskConfig(), DNCNN).names == ("dncnn", "unsharp_mask", "dncnn_2")


def test_stages_are_ready_to_run():
    chain = chain_of(DNCNN)
    assert not any(stage.training for stage in chain.stages)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in chain.stages[0].modules())


def test_a_file_is_loaded_with_its_weights(chain_file):
    chain, again = Chain.load(chain_file), Chain.load(str(chain_file))
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert chain.strengths == (0.5, 1.0)
    assert (Engine(chain, device="cpu").run(image).pixels == Engine(again, device="cpu").run(image).pixels).all()


def test_weights_that_do_not_fit_are_a_config_error(chain_file):
    wrong = DNCNN.model_copy(update={"width": 4, "weights": str(chain_file.with_name("small.safetensors"))})
    with pytest.raises(ConfigError, match=r"stage dncnn: .*does not fit"):
        chain_of(wrong)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, pipeline; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_says_what_it_does_not_have():
    import pipeline

    with pytest.raises(AttributeError, match="no attribute 'Chains'"):
        _ = pipeline.Chains


def test_images_pass_stages_that_use_neighbouring_frames():
    chain = video_chain(MeanOfFramesConfig(), UnsharpMaskConfig())
    image = torch.rand(1, 3, 12, 12)
    assert chain.run_stage(0, image) is image
    assert (chain.strengths, chain.halo, chain.radius) == ((0.0, 1.0), chain.stages[1].halo, 1)


def test_a_video_runs_a_chain_in_parts():
    fusion = MeanOfFramesConfig(radius=2)
    chain = video_chain(UnsharpMaskConfig(), DNCNN, fusion, fusion, EDSR, MeanOfFramesConfig(strength=0.0))
    parts = chain.parts()
    names = ("unsharp_mask", "dncnn"), ("mean_of_frames",), ("mean_of_frames_2",), ("edsr", "mean_of_frames_3")
    assert tuple(part.names for part in parts) == names
    assert [part.radius for part in parts] == [0, 2, 2, 0]
    assert [part.scale for part in parts] == [1, 1, 1, 2]
    assert chain.radius == 4


def test_a_part_gives_a_stage_its_neighbours():
    (part,) = video_chain(MeanOfFramesConfig()).parts()
    window = torch.rand(2, 3, 3, 5, 7)
    weights = torch.tensor([1 / 6, 2 / 6, 3 / 6]).view(3, 1, 1, 1)
    assert torch.allclose(part.run_stage(0, window), (window * weights).sum(dim=1))


def test_a_part_blends_with_the_frame_itself():
    (part,) = video_chain(MeanOfFramesConfig(strength=0.5)).parts()
    window = torch.rand(1, 3, 3, 5, 7)
    blend = 0.5 * window[:, 1] + 0.5 * part.stages[0](window)
    assert torch.allclose(part.run_stage(0, window), blend, atol=1e-6)
