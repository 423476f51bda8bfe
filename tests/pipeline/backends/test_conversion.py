"""Converting to ncnn and to OpenVINO: results agree with torch at any size, and torch runs what does not convert."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor, nn

from pipeline.backends.conversion import model_key, with_measures
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine, named_stages
from pipeline.tiling import round_up
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.stage import Stage
from tests.pipeline.chains import AloneConfig, InPlaceStage, alone, chain_of

CONFIGS = Path(__file__).parents[3] / "configs"
DNCNN = DnCNNConfig(depth=4, width=8, unshuffle=2, skips=True, batch_norm=False)
EDSR = EDSRConfig(scale=2, width=8, depth=2, upsampler="direct", bicubic_skip=True)


def photo(height: int = 77, width: int = 58) -> np.ndarray:
    return data.chelsea()[100 : 100 + height, 100 : 100 + width].astype(np.float32) / 255


def run(chain: Chain, tile: int = 0) -> np.ndarray:
    return Engine(chain, device="cpu", tile=tile).run(photo()).pixels


def test_learned_stages_are_converted(converted: Chain, label: str) -> None:
    labels = Engine(converted, device="cpu").run(photo(8, 8)).backends
    assert list(labels.values()) == [label, label, label, "torch"]


@pytest.mark.parametrize("tile", [0, 32])
def test_the_image_is_that_of_torch(chain: Chain, converted: Chain, tile: int) -> None:
    assert np.abs(run(converted, tile) - run(chain)).max() <= 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 3, 40, 24), (1, 3, 8, 104), (1, 3, 136, 72)])
def test_any_size_and_batch(chain: Chain, converted: Chain, shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    with torch.inference_mode():
        for ours, theirs in zip(converted.stages, chain.stages, strict=True):
            assert (ours(image) - theirs(image)).abs().max() <= 1e-5


def test_several_threads_make_the_same(
    engine: Any, chain: Chain, converted: Chain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    images = torch.rand(2, 3, 64, 136)
    with torch.inference_mode():
        for ours, theirs in zip(engine.convert(named_stages(chain), folder=folder), chain.stages, strict=True):
            assert (ours(images) - theirs(images)).abs().max() <= 1e-5


def test_a_batch_is_its_images(converted: Chain) -> None:
    images = torch.rand(3, 3, 16, 24)
    with torch.inference_mode():
        for stage in converted.stages:
            alone = torch.cat([stage(image.unsqueeze(0)) for image in images])
            assert torch.allclose(stage(images), alone, atol=1e-6)


def test_a_result_outlives_the_next(converted: Chain) -> None:
    stage = converted.stages[0]
    first = stage(torch.zeros(1, 3, 8, 8))
    kept = first.clone()
    stage(torch.ones(1, 3, 8, 8))
    assert torch.equal(first, kept)


def test_models_are_kept(
    engine: Any, chain: Chain, converted: Chain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_export", lambda *arguments: pytest.fail("converted again"))
    again = engine.convert(named_stages(chain), folder=folder)
    assert np.array_equal(run(chain.with_stages(again)), run(converted))


def test_other_weights_are_other_models(engine: Any, converted: Chain, folder: Path) -> None:
    kept = set(folder.iterdir())
    other = chain_of(EDSR, gain=0.5)
    stage = engine.convert(named_stages(other), folder=folder)[0]
    assert len(set(folder.iterdir()) - kept) == 1
    assert np.abs(run(other.with_stages([stage])) - run(other)).max() <= 1e-5


def test_neither_stages_nor_images_are_changed(engine: Any, tmp_path: Path) -> None:
    chain, image = alone(InPlaceStage()), torch.rand(1, 3, 16, 16)
    stage, given = chain.stages[0], image.clone()
    with torch.inference_mode():
        before = {name: tensor.clone() for name, tensor in stage.state_dict().items()}, stage(image)
        (converted,) = engine.convert(named_stages(chain), folder=tmp_path)
        assert converted is not stage
        assert (converted(image) - before[1]).abs().max() <= 1e-6
        after = stage.state_dict(), stage(image)
    assert torch.equal(image, given)
    assert all(torch.equal(before[0][name], tensor) for name, tensor in after[0].items())
    assert torch.equal(before[1], after[1])


class SizedStage(Stage):
    """Has a branch that tracing burns in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image) if image.shape[-1] == image.shape[-2] else image


def test_what_does_not_agree_runs_in_torch_with_a_warning(engine: Any, refusal: Callable[[Any, Stage], str]) -> None:
    warning = refusal(engine, SizedStage())
    assert re.match(r"stage alone runs in torch: (ncnn|OpenVINO)'s result differs by ", warning)


def test_a_chain_runs_in_both(engine: Any, label: str, chain: Chain, converted: Chain, folder: Path) -> None:
    config = ChainConfig.model_construct(stages=(AloneConfig(), DNCNN))
    mixed = Chain(config, [SizedStage(), chain.stages[0]])  # the second is converted already
    result = Engine(mixed.with_stages(engine.convert(named_stages(mixed), folder=folder)), device="cpu").run(photo())
    assert result.backends == {"alone": "torch", "dncnn": label}
    assert np.abs(result.pixels - run(mixed)).max() <= 1e-5


def test_stages_at_strength_zero_are_not_converted(engine: Any, tmp_path: Path) -> None:
    chain = chain_of(DNCNN.model_copy(update={"strength": 0.0}))
    assert engine.convert(named_stages(chain), folder=tmp_path) == list(chain.stages)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["restore_x2", "restore_x2_fast"])
def test_shipped_networks_in_fp32_at_several_sizes(engine: Any, label: str, name: str, tmp_path: Path) -> None:
    chain = Chain.load(CONFIGS / f"{name}.yaml")
    converted = chain.with_stages(engine.convert(named_stages(chain), folder=tmp_path))
    with torch.inference_mode():
        for ours, theirs in zip(converted.stages[:3], chain.stages[:3], strict=True):
            assert getattr(ours, "label", "torch") == label
            for size in ((1, 1), (3, 17), (200, 88), (31, 160)):
                image = torch.from_numpy(photo(*(round_up(side, ours.multiple_of) for side in size)))
                image = image.permute(2, 0, 1).unsqueeze(0)
                assert (ours(image) - theirs(image)).abs().max() <= 1e-3


def test_a_model_belongs_to_its_code_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return model_key(named_stages(chain)[0], ("torch",))

    chain = alone(SizedStage())
    first = key()
    assert key() == first
    monkeypatch.setattr("pipeline.backends.conversion.processor_name", lambda: "another")
    assert key() != first
    monkeypatch.undo()
    monkeypatch.setattr("pipeline.backends.wrapper.layers", torch.nn)
    assert key() != first


def test_measured_photos_have_no_gradients_so_that_engines_can_take_them() -> None:
    config = DnCNNConfig(depth=3, width=4, batch_norm=False, noise_level_input=True, estimator=4)
    given = with_measures(config.build(), torch.rand(1, 3, 64, 64))
    assert given.shape == (1, 4, 64, 64)
    assert not given.requires_grad
