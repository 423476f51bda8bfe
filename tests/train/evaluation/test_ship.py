from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stages.dncnn import DnCNNConfig
from stages.registry import load_stage
from stages.weights import Card, read_card, resolve, save_weights
from train.evaluation import ship
from train.evaluation.measurement import ProtocolResult


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of shipped weights, and a protocol that reads its score off the weights' first bias."""
    monkeypatch.setattr("stages.weights.SHIPPED_FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(ship, "SHIPPED_FOLDER", tmp_path / "shipped")
    monkeypatch.setitem(ship.NAMES, "small", protocol)
    return tmp_path / "shipped"


def protocol(data: Path, weights: str) -> Iterator[ProtocolResult]:
    stage = load_stage(resolve(weights, Path()))
    yield ProtocolResult("noise", weights, 20.0, stage.model[0].bias[0].item(), 1.0, 0.0, 0.5)


def weights_worth(value: float, path: Path) -> Path:
    config = DnCNNConfig(depth=3, width=4, batch_norm=False)
    stage = config.build()
    torch.nn.init.constant_(stage.model[0].bias, value)
    save_weights(path, stage, Card(config={"stage": "dncnn", **config.architecture()}))
    return path


def test_only_better_weights_take_the_place(shipped: Path, tmp_path: Path) -> None:
    first, worse, better = (weights_worth(value, tmp_path / f"{value}.safetensors") for value in (30, 29, 31))
    assert ship.ship_if_better(first, "small", tmp_path)
    assert not ship.ship_if_better(worse, "small", tmp_path)
    assert read_card(shipped / "small.safetensors").metrics == {"noise": 30.0}
    assert ship.ship_if_better(better, "small", tmp_path)
    assert read_card(shipped / "small.safetensors").metrics == {"noise": 31.0}
    assert (shipped / "small.safetensors").stat().st_size < better.stat().st_size
