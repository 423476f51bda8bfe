"""Converted models on disk: made once, and never read if damaged or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.backends.model_cache import ModelCache
from pipeline.errors import ConversionError


class Converter:
    """Counts what a cache has it do."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.made = 0
        self.checked = 0

    def make(self, place: Path) -> None:
        self.made += 1
        (place / "model.bin").write_bytes(b"weights" * 100)

    def read(self, place: Path) -> bytes:
        return (place / "model.bin").read_bytes()

    def check(self, model: bytes) -> None:
        self.checked += 1
        if self.fault:
            raise ConversionError(self.fault)

    def load(self, cache: ModelCache, key: str = "key") -> bytes:
        return cache.load(key, self.make, self.read, self.check)


def test_a_model_is_made_and_checked_once(tmp_path: Path) -> None:
    converter = Converter()
    assert converter.load(ModelCache(tmp_path)) == converter.load(ModelCache(tmp_path)) == b"weights" * 100
    assert converter.made == converter.checked == 1
    converter.load(ModelCache(tmp_path), "other")
    assert converter.made == converter.checked == 2


@pytest.mark.parametrize("damaged", [b"weights", b"WEIGHTS" * 100, b"", None])
def test_a_damaged_model_is_never_read(tmp_path: Path, damaged: bytes | None) -> None:
    converter, kept = Converter(), tmp_path / "key" / "model.bin"
    converter.load(ModelCache(tmp_path))
    kept.unlink() if damaged is None else kept.write_bytes(damaged)
    for _ in range(2):
        assert converter.load(ModelCache(tmp_path)) == b"weights" * 100
    assert converter.made == 2


def test_a_model_that_cannot_be_read_any_more_is_made_anew(tmp_path: Path) -> None:
    class Updated(Converter):
        def read(self, place: Path) -> bytes:
            if not self.made:
                raise RuntimeError("written by another version")
            return super().read(place)

    Converter().load(ModelCache(tmp_path))
    updated = Updated()
    assert updated.load(ModelCache(tmp_path)) == b"weights" * 100
    assert updated.made == updated.checked == 1


def test_a_refusal_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="no such layer"):
        Converter("no such layer").load(ModelCache(tmp_path))
    again = Converter()
    with pytest.raises(ConversionError, match="no such layer"):
        again.load(ModelCache(tmp_path))
    assert again.made == 0


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert Converter().load(ModelCache(tmp_path / "file")) == b"weights" * 100
    with pytest.raises(ConversionError, match="refused"):
        Converter("refused").load(ModelCache(tmp_path / "file"))
