"""The command `restorechain`, as far as it runs chains.

Exit codes: 0 all done; 1 some inputs failed, were refused, could not be compared, or differ from their source, or the
disk is full; 2 wrong use or configuration, nothing was started; 130 interrupted, finished files stay. Heavy imports
stand inside functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli import commands
from pipeline.cli.doctor import doctor
from pipeline.cli.group import CommandGroup
from pipeline.cli.inspect import inspect
from pipeline.cli.restore import restore
from pipeline.cli.tune import tune

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def restorechain(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Restore photos and videos by chains of stages, and train the stages.

    Without the name of a command, `restore` is meant: restorechain photos -o restored
    """
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("restorechain"))
        raise typer.Exit


app.command(no_args_is_help=True)(restore)
app.command()(commands.check)
app.command()(commands.profile)
app.command(no_args_is_help=True)(commands.verify)
app.command(no_args_is_help=True)(inspect)
app.command(no_args_is_help=True)(commands.attention)
app.command()(commands.serve)
app.command()(tune)
app.command()(doctor)
