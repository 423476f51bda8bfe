"""The entries of the catalogue, and files that are none."""

from pathlib import Path

import pytest

from stages.catalogue.entry import (
    PACKAGE_FOLDER,
    PURPOSES,
    Entry,
    Figure,
    entries,
    entry_paths,
    read_entry,
    speed_class,
    write_entry,
)
from stages.errors import WeightsError
from stages.registry import STAGES, config_from
from stages.weights import Card, shipped_weights
from tests.stages.catalogue.architectures import ARCHITECTURES

NAMES = sorted(path.stem for path in PACKAGE_FOLDER.glob("*.yaml"))
MINIMAL = "stage: dncnn\npurpose: denoise\nurls: [net.pth]\nlicence: MIT\n"


def test_there_are_entries_for_every_purpose_and_none_takes_a_shipped_name() -> None:
    found = {path.stem: entry for path, entry in entries()}
    assert len(found) >= 40
    assert {entry.purpose for entry in found.values()} == set(PURPOSES)
    assert not found.keys() & shipped_weights().keys()


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_of_a_stage_and_says_what_its_users_must_know(name: str) -> None:
    entry = read_entry(PACKAGE_FOLDER / f"{name}.yaml")
    if entry.stage == "spandrel":
        assert name in ARCHITECTURES
        assert entry.options.keys() <= {"halo"}
    else:
        config = config_from(Card(config={"stage": entry.stage, **entry.options}))
        assert entry.options.items() <= config.model_dump().items()
    assert entry.stage in STAGES
    assert len(name) <= 22  # in the list of weights, at 80 columns
    assert entry.origin
    assert entry.trained_for
    assert all(url.startswith("https://") for url in entry.urls)
    assert not entry.confirmed or entry.sha256


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    entry = Entry(
        stage="nafnet",
        options={"encoder_blocks": [1, 2], "width": 8},
        purpose="deblur",
        size=5,
        sha256="0" * 64,
        urls=["net.pth"],
        licence="MIT",
        figure=Figure(psnr=30.0, protocol="Sët5"),
    )
    write_entry(tmp_path / "deep" / "net.yaml", entry)
    assert read_entry(tmp_path / "deep" / "net.yaml") == entry


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL.replace("licence: MIT\n", ""), "licence: Field required"),
        (MINIMAL + "sha265: abc", "sha265: Extra inputs are not permitted"),
        (MINIMAL + "sha256: abc", "sha256: String should match pattern"),
        (MINIMAL + "size: '5'", "size: Input should be a valid integer"),
        (MINIMAL.replace("denoise", "dance"), "purpose: Input should be 'denoise', 'deblur', 'jpeg' or 'upscale'"),
        (MINIMAL + "options: 2026-01-01", "is no catalogue entry: .*date"),
        ("[1, 2]", "content: Input should be an object"),
        ("a: [", "is no catalogue entry: while parsing"),
        ("a: 2001-99-99", "is no catalogue entry: month must be"),
        ("&a [*a]", "is no catalogue entry: Circular reference"),
        ("[" * 1200, "is no catalogue entry: "),
    ],
)
def test_files_that_are_no_entries_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "net.yaml").write_text(text)
    with pytest.raises(WeightsError, match=message):
        read_entry(tmp_path / "net.yaml")


def test_one_s_own_entries_complete_the_catalogue(weights_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for name in ("mine", "dncnn_color_blind"):
        (tmp_path / "own" / f"{name}.yaml").write_text(MINIMAL)
    assert entry_paths()["mine"].parent == tmp_path / "own"
    assert entry_paths()["dncnn_color_blind"].parent == tmp_path / "own"
    assert entry_paths()["nafnet_gopro_32"].parent == PACKAGE_FOLDER


def test_unknown_purposes_are_refused() -> None:
    with pytest.raises(WeightsError, match="purpose: got 'blur', expected one of denoise, deblur, jpeg, upscale"):
        list(entries("blur"))


@pytest.mark.parametrize(
    ("gmacs", "name"), [(1, "fast"), (100, "fast"), (101, "medium"), (2000, "slow"), (9e9, "slowest")]
)
def test_speed_classes(gmacs: float, name: str) -> None:
    assert speed_class(gmacs) == name
