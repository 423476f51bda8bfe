"""The commands that train and evaluate: `train`, `compare`, `evaluate`, `degrade` and `grow`.

Heavy imports stand inside functions, so that ``--help`` answers at once. Errors are raised; the command line that the
commands are registered in shows them.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

from train.cli.compare import compare
from train.cli.degrade import degrade
from train.cli.evaluate import evaluate
from train.cli.grow import grow
from train.cli.repeatable import RepeatableOptionsCommand
from train.cli.train import train

COMMANDS: tuple[Callable[..., None], ...] = (train, compare, evaluate, degrade, grow)


def register(app: typer.Typer) -> None:
    """Add all commands to a Typer app."""
    for command in COMMANDS:
        app.command(cls=RepeatableOptionsCommand, no_args_is_help=True)(command)
