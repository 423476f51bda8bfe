"""The commands that train and evaluate: `train`, `compare`, `evaluate`, `degrade` and `grow`.

Heavy imports stand inside functions, so that ``--help`` answers at once. Errors are raised; the command line that the
commands are registered in shows them.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from pipeline.device.process import keep_freed_memory
from pipeline.errors import ConfigError
from train.precision import PRECISIONS

if TYPE_CHECKING:
    from train.config import TrainingConfig
    from train.data.layouts import Files

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
# Those of Lightning's warnings that need nothing from the user.
_NOISE = (
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    r".*LeafSpec.* is deprecated",
)


class RepeatableOptionsCommand(TyperCommand):
    """A command whose repeatable options also take several values: ``--data A B`` is ``--data A --data B``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after each value has been given an option of its own."""
        repeatable = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, repeat_options(args, repeatable))


def repeat_options(words: Sequence[str], repeatable: set[str]) -> list[str]:
    """Write the option before each of its values; a value ends at the next word that begins with a dash."""
    repeated: list[str] = []
    option, has_value = "", False
    for word in words:
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            option, has_value = name if name in repeatable else "", bool(equals)
        elif option and has_value:
            repeated.append(option)
        else:
            has_value = True
        repeated.append(word)
    return repeated


def configs() -> list[str]:
    """Return the names of the training configurations in configs/train."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def find_config(text: str) -> Path:
    """Find a training configuration by its name, or take a YAML's path.

    Raises:
        typer.BadParameter: if it is neither.
    """
    if text in configs():
        return CONFIGS / f"{text}.yaml"
    if Path(text).suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"got {text!r}, expected a training YAML or one of {', '.join(configs())}")
    return Path(text)


def parse_time(text: str) -> timedelta:
    """Read ``HH:MM:SS``.

    Raises:
        typer.BadParameter: for anything else, and for no time at all.
    """
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        hours = minutes = seconds = 0
    time = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if time <= timedelta():
        raise typer.BadParameter(f"got {text!r}, expected HH:MM:SS such as 00:20:00")
    return time


def _parse_precision(text: str) -> str:
    if text not in PRECISIONS:
        raise typer.BadParameter(f"got {text!r}, expected one of {', '.join(PRECISIONS)}")
    return text


_Config = Annotated[
    Path,
    typer.Argument(
        parser=find_config,
        metavar="CONFIG",
        help=f"A training YAML, or one of configs/train: {', '.join(configs())}.",
    ),
]
_Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH...",
        help="Folders of sharp images, or of pairs in folders named by their side, such as blur/ and sharp/, LQ/ and "
        "GT/; GoPro, RealBlur, REDS, DIV2K, Flickr2K; list files of pairs; one image.",
    ),
]
_Validation = Annotated[
    list[Path] | None,
    typer.Option(
        "--val",
        metavar="PATH...",
        help="Images to validate on, none of them in --data. Without it, a few files of --data are held out.",
    ),
]
_Precision = Annotated[
    str,
    typer.Option(
        parser=_parse_precision,
        metavar="|".join(PRECISIONS),
        help="Number format; auto is mixed precision where the device is faster with it.",
    ),
]
_Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Device that computes.")]
_Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE...",
        help="Change values of the YAML, such as data.batch_size=8 schedule.kind=plateau.",
    ),
]


def train(
    config: _Config,
    data: _Data,
    val: _Validation = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder of the run, new without --resume. [default: runs/CONFIG]"
        ),
    ] = None,
    max_time: Annotated[
        timedelta | None,
        typer.Option(parser=parse_time, metavar="HH:MM:SS", help="Budget of time, that before --resume included."),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Budget of epochs, those before --resume included.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    init: Annotated[
        Path | None, typer.Option(metavar="WEIGHTS", help="Weights file, or shipped name, to start from.")
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(
            metavar="CHAIN.yaml",
            help="Train on the degraded images as the stages before it in this chain leave them. "
            "--set chain.loss_on=chain compares the whole chain's result; chain.stage=dncnn_2 names one of several "
            "stages of a kind.",
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Train on N devices, each with the configured batch size.")
    ] = 1,
    precision: _Precision = "auto",
    device: _Device = "auto",
    changes: _Changes = None,
) -> None:
    """Train one stage.

    Without a budget (--max-time, --max-epochs) the learning rate is reduced on plateaus of the validation PSNR until
    early stopping; with one it is annealed within the budget.
    """
    in_chain = [f"chain.file={json.dumps(str(chain.resolve()))}"] if chain else []
    _prepare()

    from train.training import read_training

    training = read_training(config, [*in_chain, *(changes or ())])

    from lightning.pytorch.utilities import rank_zero_only

    from train.fit import fit
    from train.run import Run, TrainingInterrupted

    _silence_lightning()

    train_files, validation_files = choose_files(data, val, training.config)
    run = Run(
        folder=output or Path("runs") / config.stem,
        max_time=max_time,
        max_epochs=max_epochs or -1,
        resume=resume,
        init=init,
        precision=precision,
        device=device,
        devices=devices,
    )
    data_name = f"{', '.join(folder.name for folder in data)}: {train_files.counted()}"
    try:
        rank_zero_only(typer.echo)(fit(training, train_files, validation_files, run, data_name))
    except TrainingInterrupted as error:
        typer.echo(error, err=True)
        raise typer.Exit(130) from error


def compare(
    config: Annotated[
        list[Path],
        typer.Argument(parser=find_config, metavar="CONFIG...", help="Training YAMLs, or names of configs/train."),
    ],
    data: _Data,
    budget: Annotated[
        timedelta, typer.Option(parser=parse_time, metavar="HH:MM:SS", help="Training time of each network.")
    ],
    val: _Validation = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of all runs and results.")
    ] = Path("runs/compare"),
    precision: _Precision = "auto",
    device: _Device = "auto",
    changes: _Changes = None,
) -> None:
    """Train several networks for the same time on the same data, and compare their cost and quality.

    Data, degradation and loss are those of the first configuration.
    """
    if len({path.stem for path in config}) < len(config):
        raise ConfigError("config: two configurations have the same name, which their results go by; rename one")
    _prepare()

    from train.config import read_config

    trainings = {path.stem: read_config(path, changes or ()) for path in config}

    from train.evaluation.compare import Conditions, compare_networks

    _silence_lightning()

    train_files, validation_files = choose_files(data, val, next(iter(trainings.values())))
    compare_networks(trainings, train_files, validation_files, Conditions(output, budget, device, precision))


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the test sets CBSD68, Set5, Set14, pairs/NAME with blur/ and sharp/, real_noise/polyu_512.",
        ),
    ],
    only: Annotated[
        list[str] | None, typer.Option(metavar="PROTOCOL...", help="Some protocols; an unknown name lists them.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="Other weights, or another chain, than the shipped ones.")
    ] = None,
    ship: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Store --weights in half precision as the shipped weights of this name, if their mean PSNR is higher.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.md", help="Write the table there.")
    ] = None,
) -> None:
    """Evaluate weights and chains by the field's standard protocols."""
    _prepare()

    from train.evaluation.evaluate import as_markdown, evaluate_all, print_results
    from train.evaluation.ship import ship_if_better

    if ship:
        if not weights or only or output:
            raise ConfigError("ship: takes weights, expected --weights FILE and neither --only nor --output")
        if not ship_if_better(Path(weights), ship, data):
            typer.echo(f"not shipped: {ship} is better as it is")
            raise typer.Exit(1)
        typer.echo(f"shipped as {ship}")
        return
    results = evaluate_all(data, only or (), weights)
    print_results(results)
    if output:
        output.write_text(as_markdown(results, only or ()), encoding="utf-8")


def degrade(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of clean images, with all below it.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the degraded images, new or empty.")
    ],
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="CONFIG.yaml", help="The degradation; see configs/degrade.")
    ],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the random numbers. [default: the YAML's, or 0]", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make a degraded test set, the same on every machine.

    Every image becomes a PNG of the same place and name; FOLDER/degradation.yaml records how the set was made.
    """
    _prepare()

    from pipeline.chain.yaml_validation import read_yaml
    from train.degradation.degraded_set import DegradedSet, find_windows, refuse_overwriting, write_set

    settings = read_yaml(config, DegradedSet)
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    refuse_overwriting(source, output, overwrite=overwrite)
    windows = find_windows(source, output, settings)
    done = write_set(source, output, settings, windows)
    typer.echo(f"{output}: {len(done.files)} of {len(windows)} images")
    if len(done.files) < len(windows):
        raise typer.Exit(1)


def grow(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="Weights file of the narrow network, or a shipped name.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="Weights file of the wider network.")
    ],
    width: Annotated[int, typer.Option(min=1, help="Channels of the wider network's hidden layers.")],
) -> None:
    """Make a wider network of a narrow one that gives the same results, to train further."""
    import torch

    from stages.weights import resolve
    from train.grow import widen_weights

    torch.manual_seed(0)
    widen_weights(resolve(weights, Path()), output, width)
    typer.echo(f"{output}: train it by `--init {output} --set stage.width={width}`")


COMMANDS: tuple[Callable[..., None], ...] = (train, compare, evaluate, degrade, grow)


def register(app: typer.Typer) -> None:
    """Add all commands to a Typer app."""
    for command in COMMANDS:
        app.command(cls=RepeatableOptionsCommand, no_args_is_help=True)(command)


def choose_files(data: list[Path], val: list[Path] | None, config: TrainingConfig) -> tuple[Files, Files]:
    """Return the files to train on and to validate on; without ``val``, some of ``data`` are held out."""
    from lightning.pytorch.utilities import rank_zero_only

    from train.data.layouts import find_files
    from train.data.split import hold_out, refuse_leakage

    files = find_files(data, config.data.blur, config.scale)
    for line in files.origins:
        rank_zero_only(typer.echo)(line)
    if not val:
        return hold_out(files, config.data.held_out)
    validation_files = find_files(val, config.data.blur, config.scale)
    refuse_leakage(files, validation_files)
    return files, validation_files


def _prepare() -> None:
    """Set the process and its log up before torch is imported."""
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("train").setLevel(logging.INFO)


def _silence_lightning() -> None:
    """Leave Lightning's warnings only; its import sets its loggers up, so this comes after it."""
    logging.getLogger("lightning").propagate = False  # it has a handler of its own
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for noise in _NOISE:
        warnings.filterwarnings("ignore", message=noise)
