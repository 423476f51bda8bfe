"""Train, compare, evaluate, degrade or grow: ``python -m train dncnn --data DIR``; `train` may be left out."""

from __future__ import annotations

import typer

from pipeline.cli.group import CommandGroup
from pipeline.device.process import let_waiting_threads_sleep
from train.cli.commands import register


class TrainingGroup(CommandGroup):
    """The commands of training alone."""

    default_command = "train"


app = typer.Typer(cls=TrainingGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
register(app)


@app.callback()
def _commands() -> None:
    """Train the stages of chains. Without the name of a command, `train` is meant: python -m train dncnn --data DIR."""


if __name__ == "__main__":
    let_waiting_threads_sleep()  # before torch is imported
    app(prog_name="python -m train")
