"""Disk cache of converted models: written atomically, verified by SHA-256 when read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.errors import ConversionError

Model = TypeVar("Model")

_REFUSED, _DIGEST = "refused.txt", "sha256.txt"


class ModelCache:
    """A folder of models by key; for a refused key the reason is kept, so that it is not tried again.

    Args:
        folder: Created on the first write; if it cannot be written, nothing is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(
        self, key: str, make: Callable[[Path], None], read: Callable[[Path], Model], check: Callable[[Model], None]
    ) -> Model:
        """Return a kept model, or else a new one that has been checked.

        Args:
            key: Names everything that the model and the check depend on.
            make: Writes a model's files into an empty folder.
            read: Makes a model of them.
            check: Refuses a new model by a ConversionError.

        Raises:
            ConversionError: if it cannot be made, read, or fails the check, now or in an earlier run.
        """
        kept = self.folder / key
        if (kept / _REFUSED).is_file():
            raise ConversionError((kept / _REFUSED).read_text(encoding="utf-8"))
        if _is_whole(kept):
            try:
                return read(kept)
            except RuntimeError:  # what the key does not name has changed
                pass
        shutil.rmtree(kept, ignore_errors=True)
        return self._load_new(key, make, read, check)

    def _load_new(
        self, key: str, make: Callable[[Path], None], read: Callable[[Path], Model], check: Callable[[Model], None]
    ) -> Model:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            try:
                make(folder)
                model = read(folder)
                check(model)
            except ConversionError as refused:
                text = str(refused)
                self._keep(key, lambda place: (place / _REFUSED).write_text(text, encoding="utf-8"))
                raise
            self._keep(key, lambda place: _copy(folder, place))
        return model

    def _keep(self, key: str, write: Callable[[Path], object]) -> None:
        """Write a key's folder elsewhere and move it into place; the first of several writers wins."""
        partial = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self.folder))
            write(partial)
            partial.rename(self.folder / key)
        except OSError:
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)


def _copy(model: Path, place: Path) -> None:
    shutil.copytree(model, place, dirs_exist_ok=True)
    (place / _DIGEST).write_text(_digest(place), encoding="ascii")


def _is_whole(model: Path) -> bool:
    """Return whether a model's files are intact: damaged ones can crash a library."""
    digest = model / _DIGEST
    return digest.is_file() and digest.read_bytes() == _digest(model).encode("ascii")


def _digest(model: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(model.iterdir()):
        if file.name != _DIGEST:
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
