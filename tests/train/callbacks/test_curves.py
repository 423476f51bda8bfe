import csv
import math
from pathlib import Path

import pytest

from train.callbacks.curves import plot_curves, plot_together, read_curve
from train.data.images import read_rgb


def write_log(folder: Path, version: int, rows: list[dict[str, object]]) -> None:
    log = folder / "log" / f"version_{version}" / "metrics.csv"
    log.parent.mkdir(parents=True)
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "val/psnr", "learning_rate"])
        writer.writeheader()
        writer.writerows(rows)


def test_a_curve_goes_on_where_the_run_was_resumed(tmp_path: Path) -> None:
    write_log(
        tmp_path, 0, [{"step": 9, "val/psnr": 20.0}, {"step": 19, "val/psnr": 21.0}, {"step": 29, "learning_rate": 0.1}]
    )
    write_log(tmp_path, 2, [{"step": 19, "val/psnr": 22.0}, {"step": 29, "val/psnr": 23.0}])
    write_log(tmp_path, 10, [{"step": 39, "val/psnr": 24.0}])
    assert read_curve(tmp_path, "val/psnr") == [(9, 20.0), (19, 22.0), (29, 23.0), (39, 24.0)]
    assert read_curve(tmp_path, "learning_rate") == [(29, 0.1)]


@pytest.mark.parametrize(
    "values", [[20.0], [20.0, 20.0], [0.0, 0.0], [20.0, 21.0, 25.0], [20.0, math.nan, 1e308, -math.inf]]
)
def test_curves_are_plotted_of_whatever_there_is(tmp_path: Path, values: list[float]) -> None:
    plot_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()
    write_log(tmp_path, 0, [{"step": 10 * index, "val/psnr": value} for index, value in enumerate(values)])
    plot_curves(tmp_path)
    assert (read_rgb(tmp_path / "curves.png") < 200).any()


def test_curves_of_several_runs_share_a_plot(tmp_path: Path) -> None:
    plot_together(tmp_path / "curves.png", {"a": [(0, 20.0), (9, 21.0)], "b": [(0, 19.0)]}, "seconds", "PSNR, dB")
    assert (read_rgb(tmp_path / "curves.png") < 200).any()
