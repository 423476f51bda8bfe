"""Compare networks on equal terms: ``python -m train compare A.yaml B.yaml --data DIR --budget HH:MM:SS``.

Every network is trained for the same time, on the same data with the same seed: data, degradation and loss are those
of the first configuration, so that batch n holds the same crops for all. Then all are evaluated on the same
images. When run again, it continues where it was interrupted and trains only networks that were added.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pipeline.device.find import find_device
from pipeline.errors import ConfigError
from pipeline.evaluation.metrics import psnr_rgb, ssim_y
from stages.profile import count_macs, count_parameters
from stages.registry import load_stage
from stages.stage import Stage
from train.callbacks.curves import Points, plot_together, read_curve
from train.callbacks.sheets import Row, write_sheet
from train.config import TrainingConfig
from train.data.batches import ValidationImages
from train.data.layouts import Files
from train.evaluation.restorers import restorer
from train.fit import fit
from train.run import Run
from train.training import Training

_FRAME = (360, 640)
_SHEET_ROWS = 6


@dataclass(frozen=True)
class Conditions:
    """What every network is trained and measured under.

    Attributes:
        folder: Holds the results, and a folder for the run of each network.
        budget: Time for each network.
        device: As of `Run`.
        precision: As of `Run`.
    """

    folder: Path
    budget: timedelta
    device: str
    precision: str

    def run(self, name: str) -> Run:
        """Return the run of a network; one that was begun earlier is resumed."""
        run = Run(self.folder / name, max_time=self.budget, precision=self.precision, device=self.device)
        return replace(run, resume=run.last.is_file())


@dataclass(frozen=True)
class NetworkResult:
    """What one network costs and reaches.

    Attributes:
        macs: Multiply-accumulates for a 640x360 frame.
        milliseconds: For that frame, eager float32, on the device that trained.
        gain: PSNR less that of the degraded images, in dB.
    """

    name: str
    parameters: int
    macs: int
    milliseconds: float
    steps: int
    psnr: float
    ssim: float
    gain: float

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        gmacs = self.macs / 1e9
        return (
            self.name, f"{self.parameters:,}", f"{gmacs:.1f}", f"{self.milliseconds:.0f}", f"{self.steps:,}",
            f"{self.psnr:.3f}", f"{self.ssim:.4f}", f"{self.gain:+.3f}", f"{self.gain / gmacs:+.4f}",
        )  # fmt: skip


COLUMNS = (
    "network", "parameters", "GMACs at 640x360", "ms", "steps", "PSNR dB", "SSIM", "gain dB", "dB per GMAC",
)  # fmt: skip


def compare_networks(
    configs: dict[str, TrainingConfig], train: Files, validation: Files, conditions: Conditions
) -> None:
    """Train all networks, print their table and write it with curves and crops into the folder of the results.

    Args:
        configs: By name; data, degradation and loss are taken from the first.
        train: Files to train on.
        validation: Files that all networks are evaluated on.
        conditions: The same for all.
    """
    equal = {name: on_equal_terms(config, next(iter(configs.values()))) for name, config in configs.items()}
    runs = {name: conditions.run(name) for name in equal}
    stages = {name: load_stage(train_once(config, train, validation, runs[name])) for name, config in equal.items()}
    multiple_of = max(stage.multiple_of for stage in stages.values())
    images = ValidationImages(next(iter(equal.values())), validation, multiple_of)
    entries = [measure(name, equal[name], stage, images, runs[name]) for name, stage in stages.items()]
    curves = {name: over_time(read_curve(run.folder, "val/psnr"), conditions.budget) for name, run in runs.items()}
    plot_together(conditions.folder / "curves.png", curves, "seconds of the budget", "validation PSNR, dB")
    shown = images.samples[:: -(-len(images) // _SHEET_ROWS)]
    write_sheet(conditions.folder / "sheet.png", [side_by_side(stages, *sample) for sample in shown])
    write_table(entries, conditions.folder / "comparison.md")


def on_equal_terms(config: TrainingConfig, first: TrainingConfig) -> TrainingConfig:
    """Return a configuration with the data, degradation and loss of the first."""
    shared = ("degradation", "pair_degradation", "data", "loss", "teacher", "steps_per_epoch", "seed")
    content = config.model_dump() | {key: value for key, value in first.model_dump().items() if key in shared}
    return TrainingConfig.model_validate(content)


def train_once(config: TrainingConfig, train: Files, validation: Files, run: Run) -> Path:
    """Train one network, unless an earlier run has finished it; return its weights.

    Raises:
        ConfigError: if the earlier run had another configuration, other data or another budget.
    """
    run.check(config, train, validation)
    weights, finished = run.folder / f"{config.stage.stage}.safetensors", run.folder / "budget.txt"
    if finished.is_file():
        spent = finished.read_text(encoding="utf-8")
        if spent != str(run.max_time):
            raise ConfigError(f"{run.folder} was trained for {spent}, not {run.max_time}; choose another output folder")
        return weights
    fit(Training.resolve(config), train, validation, run, train.counted())
    finished.write_text(str(run.max_time), encoding="utf-8")
    return weights


def measure(name: str, config: TrainingConfig, stage: Stage, images: ValidationImages, run: Run) -> NetworkResult:
    """Score a trained network on every validation image, and time it."""
    restore = restorer(stage)
    before, after, similarity = [], [], []
    for degraded, clean in images.samples:
        restored = restore(degraded).clamp(0, 1)
        before.append(psnr_rgb(degraded, clean))
        after.append(psnr_rgb(restored, clean))
        similarity.append(ssim_y(restored, clean, border=0))
    return NetworkResult(
        name=name,
        parameters=count_parameters(stage),
        macs=count_macs(config.stage, *_FRAME),
        milliseconds=time_frame(stage, find_device(run.device)),
        steps=read_curve(run.folder, "val/psnr")[-1][0] + 1,
        psnr=statistics.mean(after),
        ssim=statistics.mean(similarity),
        gain=statistics.mean(after) - statistics.mean(before),
    )


def time_frame(stage: Stage, device: torch.device, runs: int = 3) -> float:
    """Return the median milliseconds of a 640x360 frame, after one run to warm up; leave the stage on the CPU."""
    restore = restorer(stage.to(device))
    frame = torch.rand(1, 3, *_FRAME, device=device)
    seconds = []
    for _ in range(1 + runs):
        started = time.perf_counter()
        restore(frame).sum().item()  # a number is there only when the device is done
        seconds.append(time.perf_counter() - started)
    stage.cpu()
    return 1000 * statistics.median(seconds[1:])


def over_time(points: Points, budget: timedelta) -> Points:
    """Turn steps into seconds: all of a run's steps take its whole budget."""
    last = points[-1][0]
    return [(round(budget.total_seconds() * step / last), value) for step, value in points]


def side_by_side(stages: dict[str, Stage], degraded: Tensor, clean: Tensor) -> Row:
    """Return one image as degraded, as every network restores it, and clean."""
    restored = {name: restorer(stage)(degraded).clamp(0, 1) for name, stage in stages.items()}
    return {"degraded": degraded, **restored, "clean": clean}


def write_table(entries: list[NetworkResult], path: Path) -> None:
    """Print the table and write it as Markdown, best PSNR first."""
    entries = sorted(entries, key=lambda entry: entry.psnr, reverse=True)
    table = Table(*COLUMNS)
    for entry in entries:
        table.add_row(*entry.cells())
    Console().print(table)
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(entry.cells() for entry in entries)]
    path.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
