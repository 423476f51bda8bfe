"""What the README shows is what there is."""

import re
from pathlib import Path

import pytest
import yaml
from skimage.io import imread

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the first block of code in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    exec(block("python"), {})
    height, width, _ = imread("examples/coffee.jpg").shape
    assert imread("coffee_x2.png").shape == (2 * height, 2 * width, 3)


def test_the_chain_is_the_default_one() -> None:
    assert yaml.safe_load(block("yaml")) == yaml.safe_load((ROOT / "configs/restore_x2.yaml").read_text())


@pytest.mark.parametrize("place", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_what_it_links_to_is_there(place: str) -> None:
    assert (ROOT / place).exists()
