"""Train one stage, or compare several.

python -m train dncnn|unet|edsr|...|MINE.yaml --data DIR...
python -m train compare A.yaml B.yaml ... --data DIR... --budget HH:MM:SS
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from datetime import timedelta
from pathlib import Path

from pipeline.device.process import keep_freed_memory
from pipeline.errors import ConfigError, RestorationError
from stages.errors import WeightsError
from train.config import TrainingConfig, read_training
from train.data.layouts import Files, find_files
from train.data.split import hold_out, refuse_leakage
from train.precision import PRECISIONS
from train.run import Interrupted, Run

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
# Of Lightning's warnings, those that ask nothing of the user.
_NOISE = (
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    r".*LeafSpec.* is deprecated",
)


def main() -> int:
    """Run the command line; return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("train").setLevel(logging.INFO)
    try:
        if sys.argv[1:2] == ["compare"]:
            compare(build_comparison_parser().parse_args(sys.argv[2:]))
        else:
            train(build_parser().parse_args())
    except (ConfigError, WeightsError, FileNotFoundError, FileExistsError, NotADirectoryError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt) as error:
        print(str(error) or "interrupted", file=sys.stderr)
        return 130
    except (RestorationError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the training of one stage."""
    parser = argparse.ArgumentParser(
        prog="python -m train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipe", type=parse_recipe, metavar="RECIPE", help=f"a training YAML, or one of ours: {', '.join(recipes())}"
    )
    _add_common(parser)
    parser.add_argument(
        "--out", type=Path, help="folder of the run; must be new without --resume (default: runs/RECIPE)"
    )
    parser.add_argument(
        "--max-time", type=parse_time, metavar="HH:MM:SS", help="budget of time, that before --resume included"
    )
    parser.add_argument(
        "--max-epochs", type=parse_count, default=-1, metavar="N", help="budget of epochs, those before included"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--init", type=Path, metavar="WEIGHTS", help="weights file, or shipped name, to start from")
    parser.add_argument(
        "--chain", type=Path, metavar="CHAIN.yaml",
        help="learn on what the stages before it in this chain make of the degraded images; --set chain.judge=chain "
        "compares the whole chain's result, chain.stage=dncnn_2 names one of several",
    )  # fmt: skip
    parser.add_argument(
        "--devices", type=parse_count, default=1, metavar="N", help="train on N devices, each with the recipe's batch"
    )
    return parser


def build_comparison_parser() -> argparse.ArgumentParser:
    """Build the parser of ``compare``."""
    parser = argparse.ArgumentParser(
        prog="python -m train compare",
        description="Train several networks for the same time on the same data, and tell what each cost and reached. "
        "Data, degradations and loss are those of the first recipe.",
    )
    parser.add_argument("recipes", type=Path, nargs="+", metavar="RECIPE.yaml", help="such as configs/train/unet.yaml")
    _add_common(parser)
    parser.add_argument("--budget", type=parse_time, required=True, metavar="HH:MM:SS", help="time for each network")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/compare"), help="folder of all runs and results (default: %(default)s)"
    )
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="DIR",
        help="folders of sharp images, or of pairs in blur/ and sharp/, input/ and target/, noisy/ and clean/, lq/ "
        "and gt/; GoPro, RealBlur, REDS, DIV2K, Flickr2K; list files of pairs; one image",
    )  # fmt: skip
    parser.add_argument(
        "--val", type=Path, nargs="+", action="extend", metavar="DIR",
        help="what to validate on, none of it in --data; without it, a few files of --data are held out",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="auto: mixed where the device is faster for it"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change values of the YAML, such as data.batch=8 schedule.kind=plateau",
    )  # fmt: skip


def recipes() -> list[str]:
    """Return the names of the recipes in configs/train."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def parse_recipe(text: str) -> Path:
    """Find a recipe by its name, or take a YAML's path."""
    if text in recipes():
        return CONFIGS / f"{text}.yaml"
    if Path(text).suffix not in (".yaml", ".yml"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a training YAML or one of {', '.join(recipes())}")
    return Path(text)


def parse_time(text: str) -> timedelta:
    """Read ``HH:MM:SS``."""
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        hours = minutes = seconds = 0
    time = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if time <= timedelta():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected HH:MM:SS such as 00:20:00")
    return time


def parse_count(text: str) -> int:
    """Read a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least 1")
    return int(text)


def train(options: argparse.Namespace) -> None:
    """Read the recipe, find the files, run the trainer and say where the weights are."""
    chain = [f"chain.file={json.dumps(str(options.chain.resolve()))}"] if options.chain else []
    config = read_training(options.recipe, [*chain, *options.set])

    from lightning.pytorch.utilities import rank_zero_only

    from train.fit import fit

    _prepare()
    train_files, validation_files = choose_files(options.data, options.val, config)
    run = Run(
        folder=options.out or Path("runs") / options.recipe.stem,
        max_time=options.max_time,
        max_epochs=options.max_epochs,
        resume=options.resume,
        init=options.init,
        precision=options.precision,
        device=options.device,
        devices=options.devices,
    )
    folders = ", ".join(folder.name for folder in options.data)
    data_name = f"{folders}: {train_files.counted()}"
    rank_zero_only(print)(fit(config, train_files, validation_files, run, data_name))


def compare(options: argparse.Namespace) -> None:
    """Read all recipes, find the files, and train and judge every network."""
    if len({path.stem for path in options.recipes}) < len(options.recipes):
        raise ConfigError("two recipes have the same name; rename one, as results are told by it")
    configs = {path.stem: read_training(path, options.set) for path in options.recipes}

    from train.evaluation.compare import Conditions
    from train.evaluation.compare import compare as train_and_judge

    _prepare()
    train_files, validation_files = choose_files(options.data, options.val, next(iter(configs.values())))
    conditions = Conditions(options.out, options.budget, options.device, options.precision)
    train_and_judge(configs, train_files, validation_files, conditions)


def _prepare() -> None:
    keep_freed_memory()
    logging.getLogger("lightning").propagate = False  # it has a handler of its own
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for noise in _NOISE:
        warnings.filterwarnings("ignore", message=noise)


def choose_files(data: list[Path], val: list[Path] | None, config: TrainingConfig) -> tuple[Files, Files]:
    """Return what to learn from and what to validate on; without ``val``, some of ``data`` is held out."""
    files = find_files(data, config.data.blur, config.scale)
    if not val:
        return hold_out(files, config.data.held_out)
    validation_files = find_files(val, config.data.blur, config.scale)
    refuse_leakage(files, validation_files)
    return files, validation_files


if __name__ == "__main__":
    sys.exit(main())
