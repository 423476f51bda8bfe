from pathlib import Path

import pytest

from train.evaluation.evaluate import as_markdown
from train.evaluation.harm import harm, spread


@pytest.mark.parametrize(("scale", "kinds"), [(1, 12), (2, 15)])
def test_every_kind_of_harm_is_looked_for(scale: int, kinds: int, sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    (tmp_path / "CBSD68").symlink_to(tmp_path / "Set14")
    stage = "{stage: unsharp_mask, amount: 0.0}" if scale == 1 else "{stage: bicubic, scale: 2}"
    (tmp_path / "chain.yaml").write_text(f"stages:\n  - {stage}\n")
    results = list(harm(tmp_path, str(tmp_path / "chain.yaml")))
    assert len({result.protocol for result in results}) == kinds
    assert all(abs(result.worst) < 0.05 and result.worse == 0 for result in results)  # the baseline itself
    assert "Where the shipped chains do harm" in as_markdown(results, ["harm"])


def test_only_a_few_photos_are_looked_at() -> None:
    assert spread([Path(str(index)) for index in range(14)], 4) == [Path(name) for name in ("0", "4", "8", "12")]
