"""Chains that name published weights: validated without a network, downloaded on first use."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.chain.config import load_chain_config
from pipeline.chain.costs import chain_costs
from pipeline.chain.description import check_chains
from pipeline.chain.downloads import complete_chains, download_missing, missing, origins
from pipeline.errors import ConfigError, RestorationError, WeightsError
from run_pipeline import main
from stages.catalogue.cache import obtain
from stages.dncnn import DnCNNConfig
from stages.stage import StageConfig
from tests.stages.catalogue.faulty_server import FaultyServer

NETWORK = DnCNNConfig(depth=9, width=4, batch_norm=False)
ENTRY = """
stage: {stage}
options: {options}
purpose: denoise
urls: ["{url}"]
size: {size}
sha256: {sha256}
licence: {licence}
uses: {uses}
origin: Doe 2020
"""


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    torch.save(NETWORK.build().state_dict(), tmp_path / "published.pth")
    return (tmp_path / "published.pth").read_bytes()


@pytest.fixture
def chain(tmp_path: Path, content: bytes, weights_cache: Path, weights_server: FaultyServer) -> Path:
    """A chain of a published network, in DnCNN's own class and through spandrel."""
    weights_server.files["net.pth"] = content
    facts = {"url": f"{weights_server.url}/net.pth", "size": len(content)}
    facts |= {"sha256": hashlib.sha256(content).hexdigest(), "licence": "MIT", "uses": "any"}
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "tiny.yaml"
    own.write_text(ENTRY.format(**facts, stage="dncnn", options="{depth: 9, width: 4, batch_norm: false}"))
    beside = tmp_path / "theirs.yaml"
    beside.write_text(ENTRY.format(**facts, stage="spandrel", options="{halo: 12}"))
    path = tmp_path / "chain.yaml"
    path.write_text("stages:\n- {stage: dncnn, weights: tiny}\n- {stage: spandrel, weights: theirs.yaml}\n")
    return path


def stages_of(tmp_path: Path, *lines: str) -> tuple[StageConfig, ...]:
    (tmp_path / "chain.yaml").write_text("stages:\n" + "".join(f"- {{{line}}}\n" for line in lines))
    return load_chain_config(tmp_path / "chain.yaml").stages


def test_validation_and_check_ask_no_server(chain: Path, weights_server: FaultyServer, weights_cache: Path) -> None:
    config = load_chain_config(chain)
    assert config.stages[0] == NETWORK.model_copy(update={"weights": str(chain.parent / "own" / "tiny.yaml")})
    assert config.stages[1].halo == 12
    assert list(missing(config)) == ["dncnn", "spandrel"]
    lines = check_chains([chain], {})
    assert lines[0] == "dncnn     tiny is not downloaded yet: 0.0 MB; MIT; Doe 2020"
    assert lines[2].startswith(f"{chain}: valid; the first run downloads what is missing")
    assert lines[2].endswith("restorechain weights download tiny theirs")
    assert not weights_server.requests
    assert not weights_cache.exists()


def test_building_downloads_once_and_both_ways_of_running_agree(chain: Path, weights_server: FaultyServer) -> None:
    config = load_chain_config(chain)
    ours, theirs = Chain.build(config).stages
    image = torch.rand(1, 3, 20, 24)
    torch.testing.assert_close(theirs(image), ours(image).clamp(0, 1), atol=1e-5, rtol=0)
    assert (ours.halo, theirs.halo) == (9, 12)
    assert not missing(config)
    Chain.build(config)
    assert len(weights_server.requests) == 2  # the two entries have other names, and so other files
    assert "halo 9 px" in check_chains([chain], {})[0]


def test_fingerprints_depend_on_the_bytes_only(chain: Path, content: bytes, tmp_path: Path) -> None:
    before = load_chain_config(chain).fingerprint()
    Chain.build(load_chain_config(chain))
    assert load_chain_config(chain).fingerprint() == before
    shutil.copy(tmp_path / "own" / "tiny.yaml", tmp_path / "moved.yaml")
    (tmp_path / "file.pth").write_bytes(content)
    texts = "stages:\n- {stage: dncnn, weights: moved.yaml}\n- {stage: spandrel, weights: file.pth, halo: 12}\n"
    chain.write_text(texts)
    assert load_chain_config(chain).fingerprint() == before
    entry = (tmp_path / "own" / "tiny.yaml").read_text()
    (tmp_path / "moved.yaml").write_text(entry.replace(hashlib.sha256(content).hexdigest(), "f" * 64))
    assert load_chain_config(chain).fingerprint() != before


def test_offline_and_licences(chain: Path, tmp_path: Path, weights_server: FaultyServer) -> None:
    config = load_chain_config(chain)
    with pytest.raises(WeightsError, match=r"tiny: the weights are not in .*--offline"):
        download_missing(config, offline=True, accepted=())
    own = tmp_path / "own" / "tiny.yaml"
    own.write_text(own.read_text().replace("uses: any", "uses: restricted"))
    with pytest.raises(RestorationError, match="--accept-licence tiny"):
        Chain.build(config)
    assert not weights_server.requests
    download_missing(config, offline=False, accepted=["tiny"])
    download_missing(config, offline=True, accepted=())
    Chain.build(config)


def restore(chain: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    folder = chain.parent
    (folder / "in").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "in" / "a.png"), np.full((16, 16, 3), 99, np.uint8))
    words = ["restore", folder / "in", "-o", folder / "out", "-c", chain, "--backend", "torch", *options]
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def test_the_run_log_and_the_report_have_licence_and_origin(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert restore(chain, monkeypatch, "--offline") == 2
    assert capfd.readouterr().err.startswith("tiny: the weights are not in ")
    assert not (tmp_path / "out").exists()
    assert restore(chain, monkeypatch, "--report", str(tmp_path / "page.html")) == 0
    assert "downloading tiny: 0.0 MB; MIT; Doe 2020" in capfd.readouterr().err
    record = json.loads((tmp_path / "out/restoration.jsonl").read_text())
    assert record["origins"] == {"dncnn": "tiny: MIT; Doe 2020", "spandrel": "theirs: MIT; Doe 2020"}
    assert record["origins"] == origins(load_chain_config(chain))
    assert "theirs: MIT; Doe 2020" in (tmp_path / "page.html").read_text()


def test_names_of_the_catalogue_bring_their_options(tmp_path: Path) -> None:
    (stage,) = stages_of(tmp_path, "stage: nafnet, weights: nafnet_gopro_32")
    assert (stage.encoder_blocks, stage.local_size) == ([1, 1, 1, 28], 384)
    (stage,) = stages_of(tmp_path, "stage: nafnet, weights: nafnet_gopro_32, local_size: 512")
    assert stage.local_size == 512
    (stage,) = stages_of(tmp_path, "stage: dncnn, weights: ffdnet_color, noise_level: 40")
    assert stage.noise_level == 40
    (stage,) = stages_of(tmp_path, "stage: spandrel, weights: swinir_x2")
    assert (stage.halo, stage.weights.name) == (32, "swinir_x2.yaml")
    (stage,) = stages_of(tmp_path, "stage: spandrel, weights: swinir_x2, halo: 8")
    assert stage.halo == 8


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("stage: nafnet, weights: nafnet_gopro_33", r"chain.yaml:2: .*no weights .* Did you mean 'nafnet_gopro_32'\?"),
        ("stage: spandrel, weights: swinir_x3", r"chain.yaml:2: .*no weights .* Did you mean 'swinir_x2'\?"),
        ("stage: nafnet, weights: nafnet_gopro_32, width: 64", "got 64, but the weights .* were trained with 32"),
        ("stage: dncnn, weights: nafnet_gopro_32", "holds weights of stage 'nafnet', expected 'dncnn'"),
        ("stage: dncnn, weights: dncnn_color_blind", "chain.yaml:2: .*no SHA-256 of the published file"),
        ("stage: spandrel, weights: swinir_jpeg_10", "chain.yaml:2: .*no SHA-256 of the published file"),
    ],
)
def test_what_cannot_be_resolved_is_named_with_its_line(tmp_path: Path, stage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stages_of(tmp_path, stage)


def test_costs_of_own_networks_need_no_download(tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text("stages: [{stage: nafnet, weights: nafnet_gopro_32}]")
    costs = chain_costs(load_chain_config(tmp_path / "chain.yaml"), 360, 640)
    assert sum(cost.macs for cost in costs["nafnet"]) == pytest.approx(66.0e9, rel=1e-3)


def test_chains_that_need_no_download(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    shutil.move(chain, tmp_path / "plain" / "chain.yaml")
    shutil.move(tmp_path / "theirs.yaml", tmp_path / "own" / "theirs.yaml")
    text = (tmp_path / "plain" / "chain.yaml").read_text().replace("theirs.yaml", "theirs")
    (tmp_path / "plain" / "chain.yaml").write_text(text)
    (tmp_path / "plain" / "mask.yaml").write_text("stages: [{stage: unsharp_mask}]")
    assert complete_chains(tmp_path / "plain") == [tmp_path / "plain" / "mask.yaml"]
    download_missing(load_chain_config(tmp_path / "plain" / "chain.yaml"), offline=False, accepted=())
    assert len(complete_chains(tmp_path / "plain")) == 2


def test_a_cache_may_move(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_chain_config(chain)
    download_missing(config, offline=False, accepted=())
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    assert list(missing(config)) == ["dncnn", "spandrel"]
    monkeypatch.setenv("RESTORECHAIN_CACHE", str(tmp_path / "elsewhere"))
    assert not missing(config)
    assert obtain(Path(str(config.stages[0].weights))).parent == tmp_path / "elsewhere"
