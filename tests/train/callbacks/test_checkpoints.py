from pathlib import Path
from typing import Any

import pytest
import torch

from train.callbacks.checkpoints import WholeCheckpoints


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"steps": 1}, path)

    def full(checkpoint: dict[str, Any], file: Any) -> None:
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        WholeCheckpoints().save_checkpoint({"steps": 2}, path)
    assert WholeCheckpoints().load_checkpoint(path) == {"steps": 1}
    assert list(path.parent.iterdir()) == [path]
