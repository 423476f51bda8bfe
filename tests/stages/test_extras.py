import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from stages import extras
from stages.extras import install_hint

ROOT = Path(__file__).parents[2]


def test_a_checkout_is_installed_from_its_folder() -> None:
    assert install_hint("cpu") == f'pip install -e "{ROOT}[cpu]"'


def test_an_installed_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "_ROOT", tmp_path)
    assert install_hint("cpu") == 'pip install "restorechain[cpu]"'


def test_hints_name_extras_that_there_are() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = [
        path.read_text(encoding="utf-8")
        for name in ("pipeline", "stages", "train")
        for path in (ROOT / name).rglob("*.py")
    ]
    hinted = {extra for text in texts for extra in re.findall(r"install_hint\([\"'](\w+)", text)}
    assert hinted
    assert hinted <= set(setup["options.extras_require"])


def test_no_message_words_the_command_itself() -> None:
    sources = (path for name in ("pipeline", "stages", "train") for path in (ROOT / name).rglob("*.py"))
    assert [path for path in sources if "restorechain[" in path.read_text(encoding="utf-8")] == [
        ROOT / "stages" / "extras.py"
    ]
