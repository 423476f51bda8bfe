from pathlib import Path

import pytest
import torch

from train.callbacks.sheets import write_sheet
from train.data.images import read_rgb


def test_a_sheet_shows_three_images_a_row(tmp_path: Path) -> None:
    levels = [torch.full((1, 3, 200, 240), level) for level in (0.2, 0.4, 0.8)]
    small = torch.nn.functional.interpolate(levels[0], scale_factor=0.5)
    names = ("degraded", "restored", "clean")
    rows = [dict(zip(names, images, strict=True)) for images in (levels, (small, *levels[1:]))]
    write_sheet(tmp_path / "sheets" / "sheet.png", rows)
    sheet = read_rgb(tmp_path / "sheets" / "sheet.png")
    cell_height, cell_width = sheet.shape[0] // 2, sheet.shape[1] // 3
    for row in range(2):
        middles = [sheet[row * cell_height + 100, column * cell_width + 130].tolist() for column in range(3)]
        assert middles == [[51] * 3, [102] * 3, [204] * 3]


def test_small_images_are_shown_larger_for_their_captions(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", [dict.fromkeys(("degraded", "restored", "clean"), torch.rand(1, 3, 16, 24))])
    assert read_rgb(tmp_path / "sheet.png").shape[1] >= 3 * 180


def test_a_sheet_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(OSError, match=r"sheet\.png"):
        write_sheet(tmp_path / "sheet.png", [dict.fromkeys(("degraded", "clean"), torch.rand(1, 3, 16, 24))])
