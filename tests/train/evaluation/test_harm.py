import shutil
from pathlib import Path

import pytest

from train.evaluation.evaluate import as_markdown
from train.evaluation.harm import harm, spread


@pytest.mark.parametrize(("scale", "kinds"), [(1, 17), (2, 20)])
def test_every_kind_of_harm_is_looked_for(scale: int, kinds: int, sharp_folder: Path, tmp_path: Path) -> None:
    sharp_folder.rename(tmp_path / "Set14")
    for name in ("CBSD68", "screens"):
        (tmp_path / name).symlink_to(tmp_path / "Set14")
    for side in ("noisy", "clean"):
        shutil.copytree(tmp_path / "Set14", tmp_path / "real_noise" / "polyu_512" / side)
    stage = "{stage: unsharp_mask, amount: 0.0}" if scale == 1 else "{stage: bicubic, scale: 2}"
    (tmp_path / "chain.yaml").write_text(f"stages:\n  - {stage}\n")
    results = list(harm(tmp_path, str(tmp_path / "chain.yaml")))
    assert len({result.protocol for result in results}) == kinds
    assert all(abs(result.worst) < 0.05 and result.worse == 0 for result in results)  # the baseline itself
    assert "Where the shipped chains do harm" in as_markdown(results, ["harm"])


def test_only_a_few_photos_are_looked_at() -> None:
    assert spread(range(14), 4) == [0, 3, 7, 10]
    assert spread(range(3), 4) == [0, 1, 2]
