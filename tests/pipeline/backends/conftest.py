"""The converting engines, a chain, and its conversion by each of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.engine.engine import named_stages
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.extras import install_hint
from stages.stage import Stage
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.chains import alone, chain_of


def engine_named(name: str) -> Any:
    """Import an engine's module, or skip the test where the package itself is not installed."""
    pytest.importorskip(name, reason=f"needs {install_hint('cpu')}")
    return import_module(f"pipeline.backends.{name}")


@pytest.fixture(scope="module", params=["ncnn", "openvino"])
def engine(request: pytest.FixtureRequest) -> Any:
    """An engine's module; they keep the same promises."""
    return engine_named(request.param)


@pytest.fixture(scope="module")
def ncnn() -> Any:
    return engine_named("ncnn")


@pytest.fixture(scope="module")
def openvino() -> Any:
    return engine_named("openvino")


@pytest.fixture(scope="module")
def label(engine: Any) -> str:
    return engine.__name__.rpartition(".")[2]


@pytest.fixture(scope="module")
def chain() -> Chain:
    torch.manual_seed(0)
    return chain_of(
        DnCNNConfig(depth=4, width=8, unshuffle=2, skips=True, batch_norm=False),
        UNetConfig(width=4, levels=3, unshuffle=2, residual=True),
        EDSRConfig(scale=2, width=8, depth=2, upsampler="direct", bicubic_skip=True),
        UnsharpMaskConfig(),
        gain=0.5,
    )


@pytest.fixture(scope="module")
def folder(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def converted(engine: Any, chain: Chain, folder: Path) -> Chain:
    return chain.with_stages(engine.convert(named_stages(chain), folder=folder))


@pytest.fixture
def refusal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[[Any, Stage], str]:
    """Have an engine refuse a stage, the second time from the cache; return the warning."""

    def convert_twice(engine: Any, stage: Stage) -> str:
        chain = alone(stage)
        for _ in range(2):
            caplog.clear()
            assert engine.convert(named_stages(chain), folder=tmp_path) == list(chain.stages)
            (warning,) = caplog.messages
        return warning

    return convert_twice


@pytest.fixture(scope="session")
def shipped() -> Chain:
    return Chain.load(Path(__file__).parents[3] / "configs" / "restore_x2.yaml")
