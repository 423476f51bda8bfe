"""What `Engine.load` costs when it is called again."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import stages.weights
from pipeline import Engine
from stages.dncnn import DnCNNConfig
from stages.weights import Card, save_weights


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    config = DnCNNConfig(depth=3, width=4, batch_norm=False)
    card = Card(config={"stage": "dncnn", **config.architecture()})
    save_weights(tmp_path / "tiny.safetensors", config.build(), card)
    (tmp_path / "chain.yaml").write_text("stages:\n  - {stage: dncnn, weights: tiny.safetensors}\n")
    return tmp_path / "chain.yaml"


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_loading_again_reads_the_weights_once_more_and_nothing_else(
    backend: str, chain_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: Counter[str] = Counter()

    def counted(place: Any, name: str) -> None:
        function = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *args, **options: done.update([name]) or function(*args, **options))

    for name in ("safe_open", "load_state"):
        counted(stages.weights, name)
    if backend != "torch":
        pytest.importorskip(backend)
        counted(import_module(f"pipeline.backends.{backend}"), "_export")
        monkeypatch.setattr("pipeline.backends.conversion.user_cache_path", lambda name: chain_file.parent / name)
    Engine.load(chain_file, device="cpu", backend=backend)
    first = Counter(safe_open=2, load_state=1, _export=int(backend != "torch"))  # the card and the tensors
    assert done == first
    Engine.load(chain_file, device="cpu", backend=backend)
    assert done == first + Counter(safe_open=2, load_state=1)
