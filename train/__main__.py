"""Train one stage: ``python -m train dncnn|unet|edsr --data DIR...``."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import timedelta
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.memory import keep_freed_memory
from pipeline.yaml_config import read_yaml
from stages.weights import WeightsError
from train.config import TrainingConfig
from train.data import Files, find_files

CONFIGS = Path(__file__).parents[1] / "configs" / "train"


def main() -> int:
    """Run the command line; return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    options = build_parser().parse_args()
    try:
        config = read_yaml(options.config or CONFIGS / f"{options.stage}.yaml", TrainingConfig)
        weights = train(config, options)
    except (ConfigError, WeightsError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(weights)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; every option says its unit."""
    names = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("stage", choices=names, help="a recipe in configs/train")
    parser.add_argument("-c", "--config", type=Path, help="another training YAML for it")
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="DIR",
        help="folders of sharp images, and of pairs in blur/ and sharp/",
    )  # fmt: skip
    parser.add_argument(
        "--val", type=Path, nargs="+", action="extend", metavar="DIR",
        help="folders to validate on; without it, a few files of --data are held out",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/STAGE)")
    parser.add_argument("--max-time", type=parse_time, metavar="HH:MM:SS", help="budget of time")
    parser.add_argument("--max-epochs", type=int, default=-1, help="budget of epochs")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--init", type=Path, help="weights file to start from")
    parser.add_argument("--precision", choices=["32", "16-mixed", "bf16-mixed"], default="32")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    return parser


def parse_time(text: str) -> timedelta:
    """Read ``HH:MM:SS``."""
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected HH:MM:SS such as 00:20:00") from None
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def train(config: TrainingConfig, options: argparse.Namespace) -> Path:
    """Find the files and run the trainer."""
    from train.fit import Run, fit

    keep_freed_memory()
    train_files, validation_files = choose_files(options, config)
    run = Run(
        folder=options.out or Path("runs") / options.stage,
        max_time=options.max_time,
        max_epochs=options.max_epochs,
        resume=options.resume,
        init=options.init,
        precision=options.precision,
        device=options.device,
    )
    folders = ", ".join(folder.name for folder in options.data)
    counted = f"{folders}: {len(train_files.clean)} images, {len(train_files.pairs)} pairs"
    return fit(config, train_files, validation_files, run, counted)


def choose_files(options: argparse.Namespace, config: TrainingConfig) -> tuple[Files, Files]:
    """Return what to learn from and what to validate on."""
    files = find_files(options.data)
    if options.val:
        return files, find_files(options.val)
    train_files, held_out = files.split(config.data.held_out)
    if not held_out.clean and not held_out.pairs:
        raise ValueError(f"no file of {', '.join(map(str, options.data))} was held out to validate on; give --val")
    return train_files, held_out


if __name__ == "__main__":
    sys.exit(main())
