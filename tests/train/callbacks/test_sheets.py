import csv
from pathlib import Path

import pytest
import torch

from train.callbacks.sheets import draw_curves, read_curve, write_sheet
from train.data.images import read_rgb


def test_a_sheet_shows_three_images_a_row(tmp_path: Path) -> None:
    levels = [torch.full((1, 3, 200, 240), level) for level in (0.2, 0.4, 0.8)]
    small = torch.nn.functional.interpolate(levels[0], scale_factor=0.5)
    names = ("degraded", "restored", "clean")
    rows = [dict(zip(names, images, strict=True)) for images in (levels, (small, *levels[1:]))]
    write_sheet(tmp_path / "pictures" / "sheet.png", rows)
    sheet = read_rgb(tmp_path / "pictures" / "sheet.png")
    cell_height, cell_width = sheet.shape[0] // 2, sheet.shape[1] // 3
    for row in range(2):
        middles = [sheet[row * cell_height + 100, column * cell_width + 130].tolist() for column in range(3)]
        assert middles == [[51] * 3, [102] * 3, [204] * 3]


def test_small_images_are_enlarged_for_their_captions(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", [dict.fromkeys(("degraded", "restored", "clean"), torch.rand(1, 3, 16, 24))])
    assert read_rgb(tmp_path / "sheet.png").shape[1] >= 3 * 180


def test_a_sheet_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(OSError, match=r"sheet\.png"):
        write_sheet(tmp_path / "sheet.png", [dict.fromkeys(("degraded", "clean"), torch.rand(1, 3, 16, 24))])


def write_log(folder: Path, version: int, rows: list[dict[str, object]]) -> None:
    log = folder / "log" / f"version_{version}" / "metrics.csv"
    log.parent.mkdir(parents=True)
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "val/psnr", "rate"])
        writer.writeheader()
        writer.writerows(rows)


def test_a_curve_goes_on_where_the_run_was_resumed(tmp_path: Path) -> None:
    write_log(tmp_path, 0, [{"step": 9, "val/psnr": 20.0}, {"step": 19, "val/psnr": 21.0}, {"step": 29, "rate": 0.1}])
    write_log(tmp_path, 2, [{"step": 19, "val/psnr": 22.0}, {"step": 29, "val/psnr": 23.0}])
    write_log(tmp_path, 10, [{"step": 39, "val/psnr": 24.0}])
    assert read_curve(tmp_path, "val/psnr") == [(9, 20.0), (19, 22.0), (29, 23.0), (39, 24.0)]
    assert read_curve(tmp_path, "rate") == [(29, 0.1)]


@pytest.mark.parametrize("values", [[20.0], [20.0, 20.0], [0.0, 0.0], [20.0, 21.0, 25.0]])
def test_curves_are_drawn_of_whatever_there_is(tmp_path: Path, values: list[float]) -> None:
    draw_curves(tmp_path)
    assert not (tmp_path / "curve.png").exists()
    write_log(tmp_path, 0, [{"step": 10 * index, "val/psnr": value} for index, value in enumerate(values)])
    draw_curves(tmp_path)
    assert (read_rgb(tmp_path / "curve.png") < 200).any()
