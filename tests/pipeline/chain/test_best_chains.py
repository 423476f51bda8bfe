"""The chains of published networks: what they may name, and that they run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.config import load_chain_config
from pipeline.chain.costs import chain_costs
from pipeline.chain.downloads import published
from pipeline.engine.engine import Engine
from stages.catalogue.entry import entry_paths, read_entry, write_entry
from stages.profile import total
from stages.registry import config_from
from stages.weights import read_card
from tests.stages.catalogue.architectures import ARCHITECTURES, network_of

CONFIGS = Path(__file__).parents[3] / "configs"
WEIGHTS = {"spandrel": "scunet_color_real_psnr", "nafnet": "nafnet_gopro_32", "spandrel_2": "swinir_x2"}
BEST = sorted(CONFIGS.glob("restore_x2_best*.yaml"))


@pytest.mark.parametrize("path", BEST, ids=lambda path: path.stem)
def test_only_confirmed_files_that_allow_any_use_are_named(path: Path) -> None:
    config = load_chain_config(path)
    named = [read_entry(entry) for entry in published(config).values()]
    assert len(named) == len(config.stages)
    assert all(entry.confirmed and entry.uses == "any" for entry in named)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_deblurring_by_published_networks_is_a_choice_of_its_own(path: Path) -> None:
    named = [read_entry(entry) for entry in published(load_chain_config(path)).values()]
    assert any(entry.purpose == "deblur" for entry in named) is (path.stem == "restore_x2_best_motion")


def publish_random(name: str, folder: Path, catalogue: Path) -> None:
    """Write a file of the published names and shapes, and an entry that names it in the place of the published one."""
    entry = read_entry(entry_paths()[name])
    config = None if name in ARCHITECTURES else config_from(read_card(entry_paths()[name]))
    network = network_of(name) if config is None else config.build()
    file = folder / f"{name}.pth"
    torch.save({"params": network.state_dict()}, file)
    facts = {"urls": [str(file)], "size": file.stat().st_size}
    facts["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    write_entry(catalogue / f"{name}.yaml", entry.model_copy(update=facts))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_best_chain_runs_with_random_weights_of_the_right_shapes(tmp_path: Path, weights_cache: Path) -> None:
    path = CONFIGS / "restore_x2_best_motion.yaml"
    for entry in published(load_chain_config(path)).values():
        publish_random(entry.stem, tmp_path, tmp_path / "own")
    engine = Engine.load(path, device="cpu", backend="torch", tile=0)
    result = engine.run(np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8))
    assert result.pixels.shape == (256, 256, 3)
    costs = {name: total(layers).macs / 1e9 for name, layers in chain_costs(engine.chain.config, 360, 640).items()}
    stated = {name: read_entry(entry_paths()[WEIGHTS[name]]).gmacs for name in costs}
    assert costs == pytest.approx(stated, rel=0.01)
