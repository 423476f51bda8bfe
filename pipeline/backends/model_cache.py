"""Converted models on disk: made once, checked at every use, never half-written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import openvino

Checked = TypeVar("Checked")


class ConversionError(Exception):
    """A conversion that cannot be used; the text says why."""


class ModelCache:
    """A folder of models by key; a key that was refused is kept as its reason, so that it is not tried again.

    Args:
        folder: Made when something is written; if it cannot be written, nothing is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str, make: Callable[[], openvino.Model], check: Callable[[openvino.Model], Checked]) -> Checked:
        """Return a kept model, or else a new one, as ``check`` returns it.

        Raises:
            ConversionError: if it cannot be made, or fails the check; also if that was so before.
        """
        kept, reason = self.folder / key / "model.xml", self.folder / key / "refused.txt"
        if reason.is_file():
            raise ConversionError(reason.read_text(encoding="utf-8"))
        if kept.is_file():
            try:
                return check(openvino.Core().read_model(kept))
            except (ConversionError, RuntimeError):  # made by other code, or damaged
                shutil.rmtree(kept.parent, ignore_errors=True)
        try:
            model = make()
            result = check(model)
        except ConversionError as refused:
            text = str(refused)
            self._keep(key, lambda place: (place / reason.name).write_text(text, encoding="utf-8"))
            raise
        self._keep(key, lambda place: openvino.save_model(model, place / kept.name, compress_to_fp16=False))
        return result

    def _keep(self, key: str, write: Callable[[Path], object]) -> None:
        """Write a key's folder elsewhere and move it into place; the first of several writers wins."""
        partial = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self.folder))
            write(partial)
            partial.rename(self.folder / key)
        except (OSError, RuntimeError):
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)
