"""What visitors choose from, and how the choice is written for a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.chain.config import load_chain_config
from pipeline.errors import ConfigError
from pipeline.web.chains import Chains, Settings, command_line, described

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


@pytest.fixture(scope="module")
def shipped() -> Chains:
    return Chains([CONFIGS / f"restore_x2{kind}.yaml" for kind in ("", "_fast", "_video")])


def test_every_chain_has_a_sentence_on_the_page() -> None:
    for path in CONFIGS.glob("*.yaml"):
        _, sentence = described(path.stem, path.read_text(encoding="utf-8"))
        assert sentence.endswith("."), path


def test_the_first_comment_is_title_and_sentence(shipped: Chains) -> None:
    assert [chain.title for chain in shipped.by_name.values()] == ["Standard", "Fast", "Video"]
    assert shipped.by_name["restore_x2"].sentence == "Denoises, deblurs, upscales by 2 and sharpens slightly."


@pytest.mark.parametrize("upscale", [True, False])
def test_the_shown_yaml_is_the_chain_that_ran(shipped: Chains, tmp_path: Path, upscale: bool) -> None:
    for name in ("restore_x2", "restore_x2_video"):
        chain = shipped.find(name)
        settings = Settings(chain=name, strengths={"unet": 0.3, "edsr": 0.5}, upscale=upscale)
        path = tmp_path / "chain.yaml"
        path.write_text(chain.as_yaml(settings))
        assert load_chain_config(path).fingerprint() == chain.configured(settings).fingerprint()
        assert ("edsr" in chain.configured(settings).names) == upscale


def test_a_chain_without_a_comment_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my_chain.yaml"
    path.write_text("stages:\n  - stage: bicubic\n")
    (chain,) = Chains([path]).by_name.values()
    assert (chain.title, chain.sentence) == ("my chain", "")
    assert not chain.upscale_is_optional
    with pytest.raises(ConfigError, match="every stage of the chain upscales"):
        chain.configured(Settings(chain="my_chain", upscale=False))


def test_weights_are_shown_without_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    weights = CONFIGS.parent / "stages" / "weights" / "denoise_blind_fast.safetensors"
    path.write_text(f"stages:\n  - stage: dncnn\n    weights: {weights}\n")
    (chain,) = Chains([path]).by_name.values()
    assert "weights: denoise_blind_fast.safetensors\n" in chain.as_yaml(Settings(chain="own"))
    assert [control.label for control in chain.controls] == ["Denoise blind fast"]


def test_clips_have_a_default_of_their_own() -> None:
    chains = Chains([CONFIGS / "restore_x2.yaml"], clips=CONFIGS / "restore_x2_video.yaml")
    assert chains.parse({}, "image").chain == "restore_x2"
    assert chains.parse({}, "video").chain == "restore_x2_video"
    assert chains.parse({"chain": "restore_x2"}, "video").chain == "restore_x2"


def test_strengths_hold_for_the_defaults_that_have_the_stage() -> None:
    chains = Chains([CONFIGS / "restore_x2.yaml"], clips=CONFIGS / "restore_x2_video.yaml")
    given = {"strengths": {"temporal_denoise": 0.5, "edsr": 0.3}}
    assert chains.parse(given, "image").strengths == {"edsr": 0.3}
    assert chains.parse(given, "video").strengths == given["strengths"]
    with pytest.raises(ConfigError, match="the chain has no stage 'temporal_denoise'"):
        chains.parse({"chain": "restore_x2", **given}, "image")
    with pytest.raises(ConfigError, match="the chain has no stage 'nowhere'"):
        chains.parse({"strengths": {"nowhere": 1}}, "video")


def test_a_command_survives_any_name() -> None:
    settings = Settings(chain="x", format="png")
    assert command_line("-o.png", settings) == "restorechain restore ./-o.png -o restored -c chain.yaml --ext png"
    assert "'a b; rm -rf $HOME.png'" in command_line("a b; rm -rf $HOME.png", settings)
