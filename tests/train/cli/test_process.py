import pytest

from pipeline.errors import ConfigError
from stages.extras import install_hint
from train.cli import process


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda name: None if name == "lightning" else object())
    with pytest.raises(ConfigError) as caught:
        process.prepare()
    assert str(caught.value) == f"training needs lightning; {install_hint('train')}"
