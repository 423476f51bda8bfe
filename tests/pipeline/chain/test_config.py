"""A chain's YAML: all errors are reported together, with their lines; weights fill in what the YAML leaves out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import save_file

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig, load_chain_config
from pipeline.chain.yaml_validation import read_yaml
from pipeline.cli.options import DEFAULT_CHAIN
from pipeline.errors import ConfigError, RestorationError
from stages.registry import STAGES
from stages.stage import LearnedStageConfig
from stages.weights import Card, save_weights


def write_chain(folder: Path, text: str | bytes) -> Path:
    path = folder / "chain.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def write_weights(folder: Path, stage: str = "dncnn", name: str = "tiny.safetensors", **options: Any) -> Path:
    config = STAGES[stage](**({"depth": 3, "width": 4} if stage == "dncnn" else {}) | options)
    card = Card(config={"stage": stage, **config.architecture()}, trained_for="nothing")
    save_weights(folder / name, config.build(), card)
    return folder / name


def problems(path: Path) -> list[str]:
    """The lines of the ConfigError, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load_chain_config(path)
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


STAGE_NAMES = ", ".join(STAGES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "stages:\n  - stage: unsharp_mask\n    amont: 0.4\n",
            "chain.yaml:3: stages.0.amont: unknown key; did you mean 'amount'? "
            "Valid keys: stage, strength, sigma, amount, threshold",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    sigma: abc\n",
            "chain.yaml:3: stages.0.sigma: got 'abc', expected a number",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    sigma: '2'\n",
            "chain.yaml:3: stages.0.sigma: got '2', expected a number",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    amount: yes\n",
            "chain.yaml:3: stages.0.amount: got true, expected a number",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    strength: 2\n",
            "chain.yaml:3: stages.0.strength: got 2, expected a number from 0 to 1, or auto",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    sigma: 0\n",
            "chain.yaml:3: stages.0.sigma: got 0, expected more than 0",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    sigma: .inf\n",
            "chain.yaml:3: got .inf, expected a finite number; near 'sigma: .inf'",
        ),
        (
            "stages:\n  - stage: unsharp_mask\n    sigma: 1\n    sigma: 2\n",
            "chain.yaml:4: stages.0.sigma: given twice, first on line 3; keep one",
        ),
        (
            "stages:\n  - stage: unsharpmask\n",
            "chain.yaml:2: stages.0.stage: unknown stage 'unsharpmask'; did you mean 'unsharp_mask'? "
            f"Valid stages: {STAGE_NAMES}",
        ),
        (
            "stages:\n  - sigma: 1\n",
            f"chain.yaml:2: stages.0: `stage:` is missing, expected one of {STAGE_NAMES}",
        ),
        (
            "stages:\n  - unsharp_mask\n",
            "chain.yaml:2: stages.0: got 'unsharp_mask', expected `key: value` lines",
        ),
        ("stages:\n", "chain.yaml:1: stages: got nothing, expected a list"),
        ("stages: []\n", "chain.yaml:1: stages: got 0 items, expected at least 1"),
        ("# nothing\n{}\n", "chain.yaml:2: stages: missing"),
        ("", "chain.yaml: the file is empty, expected `key: value` lines"),
        ("# a comment\n", "chain.yaml: the file is empty, expected `key: value` lines"),
        ("- stage: dncnn\n", "chain.yaml:1: got a list, expected `key: value` lines"),
        ("hello\n", "chain.yaml:1: got 'hello', expected `key: value` lines"),
        (
            "stages:\n\t- stage: dncnn\n",
            "chain.yaml:2: got a tab, expected spaces (YAML does not indent with tabs)",
        ),
        ("stages: &a\n  - *a\n", "chain.yaml:1: holds itself or an endless number, expected plain values"),
        ("a: 1\n---\nb: 1\n", "chain.yaml:2: but found another document; near '---'"),
        (b"stages:\n  # caf\xe9\n", "chain.yaml:2: byte 0xe9 is not UTF-8; save the file as UTF-8 text"),
    ],
)
def test_each_error_is_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert problems(write_chain(tmp_path, text)) == [expected]


@pytest.mark.parametrize("text", ["stages: [\n", "a: b: c\n", "stages: 'open\n", "a\0b", "a: " + "[" * 1200, "a: *b"])
def test_what_is_not_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    (line,) = problems(write_chain(tmp_path, text))
    assert line.startswith("chain.yaml:")


def test_tags_run_no_code(tmp_path: Path) -> None:
    (line,) = problems(write_chain(tmp_path, "stages: !!python/object/apply:os.getcwd []\n"))
    assert "could not determine a constructor" in line


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "no.yaml") == ["no.yaml: no such file"]
    (tmp_path / "folder").mkdir()
    assert problems(tmp_path / "folder") == ["folder: is a folder, expected a YAML file"]


def test_all_errors_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_weights(tmp_path)
    text = """
stagse: 1
stages:
  - stage: unsharp_mask
    sigma: abc
    amont: 1
  - stage: dncnn
    weights: tiny.safetensors
    width: 64
    depth: deep
  - stage: unet
  - stage: dncnn
    weights: no.safetensors
  - stage: nothing
"""
    reported = problems(write_chain(tmp_path, text))
    assert [line.split(": ")[0] for line in reported] == [f"chain.yaml:{n}" for n in (2, 5, 6, 9, 10, 11, 13, 14)]
    assert reported[4] == "chain.yaml:10: stages.1.depth: got 'deep', expected an integer"


def test_missing_weights(tmp_path: Path) -> None:
    (line,) = problems(write_chain(tmp_path, "stages:\n  - stage: dncnn\n    weights: no.safetensors\n"))
    assert line.startswith("chain.yaml:3: stages.0.weights: no weights 'no.safetensors'")
    (line,) = problems(write_chain(tmp_path, "stages:\n  - stage: dncnn\n"))
    assert line.startswith("chain.yaml:2: stages.0.weights: missing; dncnn has to be trained")


def test_a_file_that_is_no_weights_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    (line,) = problems(write_chain(tmp_path, "stages:\n  - stage: dncnn\n    weights: x.safetensors\n"))
    assert line.startswith("chain.yaml:3: stages.0.weights: x.safetensors is not a safetensors file")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "stages.0.weights: missing"),
        ("weights: no.pth", "stages.0.weights: no weights 'no.pth'"),
    ],
)
def test_a_missing_foreign_file_is_reported_with_its_line(tmp_path: Path, options: str, expected: str) -> None:
    (line,) = problems(write_chain(tmp_path, f"stages:\n  - stage: spandrel\n    {options}\n"))
    assert line.startswith(f"chain.yaml:{3 if options else 2}: {expected}")


def test_a_foreign_file_of_another_kind_is_refused_when_the_chain_is_built(tmp_path: Path) -> None:
    save_file({"foo.weight": np.ones(2, np.float32)}, tmp_path / "other.safetensors")
    config = load_chain_config(write_chain(tmp_path, "stages: [{stage: spandrel, weights: other.safetensors}]"))
    with pytest.raises(RestorationError, match=r"other\.safetensors is of no architecture that spandrel knows"):
        Chain.build(config)


def test_a_kernel_is_looked_for_beside_the_chain(tmp_path: Path) -> None:
    path = write_chain(tmp_path, "stages:\n  - stage: richardson_lucy\n    kernel: kernel.npy\n")
    (line,) = problems(path)
    assert line == "chain.yaml:3: stages.0.kernel: no such file: kernel.npy"
    np.save(tmp_path / "kernel.npy", np.ones((3, 3)))
    config = load_chain_config(path)
    assert config.stages[0].files() == {"kernel": tmp_path / "kernel.npy"}
    assert list(config.weights_hashes()) == ["richardson_lucy.kernel"]


def test_weights_of_another_stage(tmp_path: Path) -> None:
    write_weights(tmp_path)
    (line,) = problems(write_chain(tmp_path, "stages:\n  - stage: unet\n    weights: tiny.safetensors\n"))
    assert line == ("chain.yaml:3: stages.0.weights: tiny.safetensors holds weights of stage 'dncnn', expected 'unet'")


def test_options_of_running_are_the_chain_s_to_choose(tmp_path: Path) -> None:
    write_weights(tmp_path, "nafnet", width=2, encoder_blocks=[1], decoder_blocks=[1], local_size=64)
    text = "stages:\n  - {{stage: nafnet, weights: tiny.safetensors{}}}\n"
    for chosen, expected in (("", 64), (", local_size: 16", 16), (", local_size: null", None)):
        (stage,) = load_chain_config(write_chain(tmp_path, text.format(chosen))).stages
        assert stage.architecture()["local_size"] == expected


def test_weights_of_other_options_name_both_values(tmp_path: Path) -> None:
    write_weights(tmp_path)
    text = "stages:\n  - stage: dncnn\n    width: 64\n    weights: tiny.safetensors\n"
    assert problems(write_chain(tmp_path, text)) == [
        "chain.yaml:3: stages.0.width: got 64, but the weights tiny.safetensors were trained with 4; leave the key out"
    ]


def test_the_card_fills_in_what_the_yaml_leaves_out(tmp_path: Path) -> None:
    weights = write_weights(tmp_path)
    text = "stages:\n  - {stage: dncnn, weights: tiny.safetensors, strength: 1}\n"
    (stage,) = load_chain_config(write_chain(tmp_path, text)).stages
    assert isinstance(stage, LearnedStageConfig)
    assert stage.weights == str(weights)
    assert stage.architecture() == STAGES["dncnn"](depth=3, width=4).architecture()


def test_integers_and_exponents_are_numbers(tmp_path: Path) -> None:
    text = "stages:\n  - {stage: unsharp_mask, sigma: 1, amount: 1e-3}\n"
    (stage,) = load_chain_config(write_chain(tmp_path, text)).stages
    assert stage.architecture() == {"sigma": 1.0, "amount": 0.001, "threshold": 0.0}


def test_anchors_repeat_a_stage(tmp_path: Path) -> None:
    text = "stages:\n  - &mask {stage: unsharp_mask, sigma: 2}\n  - {<<: *mask, sigma: 3}\n  - *mask\n"
    stages = load_chain_config(write_chain(tmp_path, text)).stages
    assert [stage.architecture()["sigma"] for stage in stages] == [2, 3, 2]


def test_any_model_can_be_read(tmp_path: Path) -> None:
    class Optimizer(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        rate: float
        betas: tuple[float, float] = (0.9, 0.999)

    class Training(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        data: Path
        optimizer: Optimizer | None = None

    path = write_chain(tmp_path, "data: photos\noptimizer:\n  rate: 1e-4\n  betas: [0.8, 0.9]\n")
    training = read_yaml(path, Training)
    assert training.data == Path("photos")
    assert training.optimizer == Optimizer(rate=1e-4, betas=(0.8, 0.9))
    path.write_text("data: photos\noptimizer:\n  rat: 1e-4\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Training)
    assert [line.split(".yaml")[1] for line in str(caught.value).splitlines()] == [
        ":2: optimizer.rate: missing",
        ":3: optimizer.rat: unknown key; did you mean 'rate'? Valid keys: rate, betas",
    ]


def test_repeated_stages_are_numbered() -> None:
    mask = STAGES["unsharp_mask"]()
    assert ChainConfig(stages=(mask, mask, mask)).names == (
        "unsharp_mask",
        "unsharp_mask_2",
        "unsharp_mask_3",
    )


def test_strengths_are_set_by_stage_name() -> None:
    mask = STAGES["unsharp_mask"]()
    config = ChainConfig(stages=(mask, mask)).with_strengths({"unsharp_mask_2": 0.5})
    assert [stage.strength for stage in config.stages] == [1.0, 0.5]


def test_wrong_strengths_are_reported_together() -> None:
    config = ChainConfig(stages=(STAGES["unsharp_mask"](),))
    with pytest.raises(ConfigError) as caught:
        config.with_strengths({"unsharp": 0.5, "unsharp_mask": 2})
    assert str(caught.value).splitlines() == [
        "strength: the chain has no stage 'unsharp'; did you mean 'unsharp_mask'? Its stages: unsharp_mask",
        "strength: unsharp_mask: got 2, expected a number from 0 to 1, or auto",
    ]


def test_the_fingerprint_follows_what_changes_pixels(tmp_path: Path) -> None:
    text = "stages:\n  - {stage: dncnn, weights: tiny.safetensors}\n  - stage: unsharp_mask\n"
    write_weights(tmp_path)
    config = load_chain_config(write_chain(tmp_path, text))
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "tiny.safetensors").write_bytes((tmp_path / "tiny.safetensors").read_bytes())
    assert load_chain_config(write_chain(moved, text)).fingerprint() == config.fingerprint()
    assert config.with_strengths({"dncnn": 0.5}).fingerprint() != config.fingerprint()
    before = config.fingerprint()
    write_weights(tmp_path)  # other random weights
    assert config.fingerprint() != before


def test_the_fingerprint_follows_every_file(tmp_path: Path) -> None:
    prints = []
    for folder, kernel in (("a", [[1.0, 2.0, 1.0]]), ("b", [[1.0, 2.0, 1.0]]), ("c", [[1.0, 3.0, 1.0]])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "kernel.npy", np.array(kernel))
        path = write_chain(tmp_path / folder, "stages:\n  - {stage: richardson_lucy, kernel: kernel.npy}\n")
        prints.append(load_chain_config(path).fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_the_default_chain_is_valid_but_for_its_weights() -> None:
    stages = read_yaml(DEFAULT_CHAIN, ChainConfig).stages
    assert [stage.stage for stage in stages] == ["dncnn", "unet", "edsr", "unsharp_mask"]
