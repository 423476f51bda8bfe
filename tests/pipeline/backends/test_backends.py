"""Engines in torch's place: the same pictures, whatever the size, and torch where they are not."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import Tensor, nn

import pipeline.backends.choice
from pipeline.backends import photos
from pipeline.backends.choice import choose_backend
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine, named_stages
from pipeline.errors import ConfigError
from pipeline.evaluation.metrics import psnr_rgb, psnr_y
from pipeline.tiling import round_up
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.stage import Stage, StageConfig
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig
from train.degradation import sequence as recipe
from train.evaluation.protocols import MILD_BLUR, Restore, degraded_images, measure, restorer

CONFIGS = Path(__file__).parents[3] / "configs"
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
DNCNN = DnCNNConfig(depth=4, width=8, unshuffle=2, skips=True, batch_norm=False)
DEFAULT = (
    DNCNN,
    UNetConfig(width=4, levels=3, unshuffle=2, residual=True),
    EDSRConfig(scale=2, width=8, depth=2, upsampler="direct", bicubic_skip=True),
    UnsharpMaskConfig(),
)


def chain_of(*configs: StageConfig) -> Chain:
    """Build a chain with random weights in every layer; the zero-initialised ones would hide mistakes."""
    chain = Chain.build(ChainConfig(stages=configs))
    for stage in chain.stages:
        for module in stage.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=1)
                module.weight.data *= 0.5
    return chain


def engine_named(name: str) -> Any:
    return pytest.importorskip(f"pipeline.backends.{name}", reason='needs pip install "restorechain[cpu]"')


@pytest.fixture(scope="module", params=["ncnn", "openvino"])
def engine(request: pytest.FixtureRequest) -> Any:
    """An engine's module; they keep the same promises."""
    return engine_named(request.param)


@pytest.fixture(scope="module")
def openvino() -> Any:
    return engine_named("openvino")


@pytest.fixture(scope="module")
def label(engine: Any) -> str:
    return engine.__name__.rpartition(".")[2]


@pytest.fixture(scope="module")
def chain() -> Chain:
    torch.manual_seed(0)
    return chain_of(*DEFAULT)


@pytest.fixture(scope="module")
def folder(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def converted(engine: Any, chain: Chain, folder: Path) -> Chain:
    return chain.with_stages(engine.convert(named_stages(chain), folder=folder))


def picture(height: int = 77, width: int = 58) -> np.ndarray:
    return data.chelsea()[100 : 100 + height, 100 : 100 + width].astype(np.float32) / 255


def run(chain: Chain, tile: int = 0) -> np.ndarray:
    return Engine(chain, device="cpu", tile=tile).run(picture()).pixels


def test_learned_stages_are_converted(converted: Chain, label: str) -> None:
    labels = Engine(converted, device="cpu").run(picture(8, 8)).backends
    assert list(labels.values()) == [label, label, label, "torch"]


@pytest.mark.parametrize("tile", [0, 32])
def test_the_picture_is_torchs(chain: Chain, converted: Chain, tile: int) -> None:
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
    other = chain_of(DEFAULT[2])
    stage = engine.convert(named_stages(other), folder=folder)[0]
    assert len(set(folder.iterdir()) - kept) == 1
    assert np.abs(run(other.with_stages([stage])) - run(other)).max() <= 1e-5


class InPlaceStage(Stage):
    """Begins with what engines like to compute in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(F.leaky_relu(image - 0.5, 0.1))


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


class EnsembleStage(SizedStage):
    """Makes a batch of an image, of which ncnn dies."""

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(torch.cat([image, image + 1])).mean(dim=0, keepdim=True)


class AloneConfig(StageConfig):
    stage: Literal["alone"] = "alone"

    def build(self) -> Stage:
        pytest.fail("the chain is given its stage")


def alone(stage: Stage) -> Chain:
    return Chain(ChainConfig.model_construct(stages=(AloneConfig(),)), [stage])


def is_told_twice(engine: Any, stage: Stage, folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Convert a stage that is refused, the second time from the cache; return what is told."""
    chain = alone(stage)
    for _ in range(2):
        caplog.clear()
        assert engine.convert(named_stages(chain), folder=folder) == list(chain.stages)
        (told,) = caplog.messages
    return told


def test_what_does_not_agree_runs_in_torch_and_is_told(
    engine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = is_told_twice(engine, SizedStage(), tmp_path, caplog)
    assert re.match(r"stage alone runs in torch: (ncnn|OpenVINO)'s result differs by ", told)


def test_a_chain_runs_in_both(engine: Any, label: str, tmp_path: Path) -> None:
    config = ChainConfig.model_construct(stages=(AloneConfig(), DNCNN))
    chain = Chain(config, [SizedStage(), *chain_of(DNCNN).stages])
    mixed = Engine(chain.with_stages(engine.convert(named_stages(chain), folder=tmp_path)), device="cpu").run(picture())
    assert mixed.backends == {"alone": "torch", "dncnn": label}
    assert np.abs(mixed.pixels - run(chain)).max() <= 1e-5


@pytest.fixture
def ncnn() -> Any:
    return engine_named("ncnn")


def test_what_kills_ncnn_runs_in_torch_and_is_told(ncnn: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = is_told_twice(ncnn, EnsembleStage(), tmp_path, caplog)
    assert re.match(r"stage alone runs in torch: ncnn cannot run it \(exit code -?\d+, ", told)


def test_a_conversion_that_hangs_is_ended(
    ncnn: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncnn, "TIME_LIMIT", 0.01)
    told = is_told_twice(ncnn, InPlaceStage(), tmp_path, caplog)
    assert told == "stage alone runs in torch: pnnx cannot convert it (TimeoutExpired)"


def test_stages_at_strength_zero_are_not_converted(engine: Any, tmp_path: Path) -> None:
    chain = chain_of(DNCNN.model_copy(update={"strength": 0.0}))
    assert engine.convert(named_stages(chain), folder=tmp_path) == list(chain.stages)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_near_fp32_or_refused(
    openvino: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, openvino.__name__)
    chain = chain_of(DNCNN)
    chain.stages[0].get_submodule("model")[-1].weight.data *= 0.1  # what it adds is small, as in trained networks
    (stage,) = openvino.convert(named_stages(chain), int8=True, folder=tmp_path)
    assert stage.label == "openvino int8"
    image = torch.rand(1, 3, 40, 24)
    difference = stage(image) - chain.stages[0](image)
    assert 0 < difference.square().mean().sqrt() < 10 ** (-openvino.NEAR / 20)
    assert caplog.messages == []

    wrong = openvino._export(chain_of(DNCNN).stages[0])
    monkeypatch.setattr("pipeline.backends.int8.quantise", lambda model, photos: wrong)
    (stage,) = openvino.convert(named_stages(chain), int8=True, folder=tmp_path / "other")
    half = "BF16" in openvino.openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert stage.label == ("openvino bf16" if half else "openvino")
    assert "stage dncnn does not run in int8: int8 comes within" in caplog.text
    difference = stage(image) - chain.stages[0](image)
    assert difference.square().mean().sqrt() < 10 ** (-openvino.NEAR / 20)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photos_are_scikit_images(name: str) -> None:
    assert np.array_equal(photos.read(name), getattr(data, name)())


@pytest.mark.parametrize(
    ("backend", "device", "precision", "installed", "expected"),
    [
        ("auto", CPU, "auto", True, "ncnn"),
        ("auto", CPU, "fp32", ["openvino", "nncf", "platformdirs"], "openvino"),
        ("auto", CPU, "int8", True, "openvino"),
        ("auto", CPU, "bf16", True, "torch"),
        ("auto", CPU, "auto", False, "torch"),
        ("auto", GPU, "auto", True, "torch"),
        ("torch", CPU, "auto", True, "torch"),
        ("openvino", CPU, "fp32", True, "openvino"),
        ("ncnn", CPU, "fp32", True, "ncnn"),
        ("ncnn", CPU, "fp32", ["ncnn", "platformdirs"], "backend: ncnn cannot be used, it is not installed"),
        ("ncnn", CPU, "int8", True, "backend: ncnn cannot be used, it computes in fp32, got precision int8"),
        (
            "openvino",
            CPU,
            "fp32",
            False,
            r'backend: openvino cannot be used, it is not installed; pip install "restorechain\[cpu\]"',
        ),
        (
            "openvino",
            GPU,
            "fp32",
            True,
            "backend: openvino cannot be used, it runs on the CPU only, and the device is cuda:0",
        ),
        (
            "openvino",
            CPU,
            "fp16",
            True,
            "backend: openvino cannot be used, it computes in fp32 or int8, got precision fp16",
        ),
        (
            "torch",
            CPU,
            "int8",
            True,
            "precision: int8 cannot be used, torch does not compute in it, expected backend openvino",
        ),
        ("auto", CPU, "int8", False, "precision: int8 cannot be used, it is not installed"),
        ("tensorrt", CPU, "auto", True, "backend: got 'tensorrt', expected one of auto, torch, ncnn, openvino"),
    ],
)
def test_the_choice(
    backend: str,
    device: torch.device,
    precision: str,
    installed: bool | list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = (
        installed if isinstance(installed, list) else ["ncnn", "nncf", "openvino", "platformdirs", "pnnx"] * installed
    )
    monkeypatch.setattr(pipeline.backends.choice, "find_spec", lambda name: object() if name in there else None)
    monkeypatch.setattr(pipeline.backends.choice, "made_by_intel", lambda: False)
    if expected in pipeline.backends.choice.BACKENDS:
        assert choose_backend(backend, device, precision) == expected
        return
    with pytest.raises(ConfigError, match=expected):
        choose_backend(backend, device, precision)


@pytest.mark.parametrize(
    ("missing", "expected"), [(set(), "openvino"), ({"openvino"}, "ncnn"), ({"openvino", "ncnn"}, "torch")]
)
def test_the_choice_on_a_processor_of_intels(missing: set[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.backends.choice, "find_spec", lambda name: None if name in missing else object())
    monkeypatch.setattr(pipeline.backends.choice, "made_by_intel", lambda: True)
    assert choose_backend("auto", CPU, "auto") == expected


@pytest.mark.parametrize(("told", "intel"), [("Intel64 Family 6, GenuineIntel", True), ("AMD64, AuthenticAMD", False)])
def test_maker_is_told_where_there_is_no_cpuinfo(told: str, intel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    monkeypatch.setattr("platform.processor", lambda: told)
    assert pipeline.backends.choice.made_by_intel() is intel


@pytest.fixture(scope="module")
def shipped() -> Chain:
    return Chain.load(CONFIGS / "restore_x2.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "precision", "largest", "least_psnr"),
    [("ncnn", "fp32", 1 / 255, 70.0), ("openvino", "fp32", 1 / 255, 70.0), ("openvino", "int8", 16 / 255, 42.0)],
)
def test_a_photo_by_the_shipped_chain(
    shipped: Chain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    precision: str,
    largest: float,
    least_psnr: float,
) -> None:
    engine_named(backend)
    monkeypatch.setattr("pipeline.backends.conversion.user_cache_path", lambda name: tmp_path)
    photo = data.coffee()[100:260, 200:420]
    exact = Engine(shipped, device="cpu").run(photo).pixels
    restoration = Engine(shipped, device="cpu", backend=backend, precision=precision).run(photo)
    assert all(label.startswith(backend) for label in list(restoration.backends.values())[:3])
    difference = (restoration.pixels.astype(float) - exact) / 255
    assert np.abs(difference).max() <= largest
    assert -10 * np.log10((difference**2).mean() + 1e-12) >= least_psnr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["restore_x2", "restore_x2_fast"])
def test_shipped_networks_in_fp32_at_several_sizes(engine: Any, label: str, name: str, tmp_path: Path) -> None:
    chain = Chain.load(CONFIGS / f"{name}.yaml")
    converted = chain.with_stages(engine.convert(named_stages(chain), folder=tmp_path))
    with torch.inference_mode():
        for ours, theirs in zip(converted.stages[:3], chain.stages[:3], strict=True):
            assert getattr(ours, "label", "torch") == label
            for size in ((1, 1), (3, 17), (200, 88), (31, 160)):
                image = torch.from_numpy(picture(*(round_up(side, ours.multiple_of) for side in size)))
                image = image.permute(2, 0, 1).unsqueeze(0)
                assert (ours(image) - theirs(image)).abs().max() <= 1e-3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["dncnn", "edsr", "unet"])
def test_int8_costs_less_than_a_tenth_of_a_decibel(
    openvino: Any, name: str, shipped: Chain, shared_data: Path, tmp_path: Path
) -> None:
    """On the protocols of ``python -m train evaluate``; stages that were refused cost nothing."""
    stage = shipped.stages[shipped.names.index(name)]
    alone = Chain(ChainConfig(stages=(shipped.config.stages[shipped.names.index(name)],)), [stage])
    (int8,) = openvino.convert(named_stages(alone), int8=True, folder=tmp_path)
    exact, quantised = (_psnr(name, restorer(network), shared_data / "test") for network in (stage, int8))
    assert quantised > exact - 0.1


def _psnr(name: str, restore: Restore, data: Path) -> float:
    steps: dict[str, tuple[str, recipe.Degradation, Any]] = {
        "dncnn": ("CBSD68", [recipe.GaussianNoise(sigma=[25.0, 25.0])], psnr_rgb),
        "unet": ("CBSD68", MILD_BLUR, psnr_rgb),
        "edsr": ("Set5", [recipe.Downscale(factor=2)], lambda made, clean: psnr_y(made, clean, border=2)),
    }
    folder, degradation, score = steps[name]
    samples = [sample for sample, _ in zip(degraded_images([data / folder], degradation), range(16), strict=False)]
    return measure(name, name, iter(samples), restore, restore, score).restored
