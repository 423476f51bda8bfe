"""The command `restorechain` as a group of subcommands: what a missing one means, and how errors end."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from pipeline.cli.terminal import say_error
from pipeline.errors import ConfigError, RestorationError, WeightsError, one_line


class CommandGroup(TyperGroup):
    """Runs subcommands; without the name of one, the default command.

    Every exception ends as a readable text on stderr and an exit code: 2 for wrong use, configuration or weights, 130
    for an interruption, 1 for everything else. Library errors name arguments (``frames_out: ...``), which become the
    options of the command line (``--frames-out: ...``).
    """

    default_command = "restore"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command before arguments that begin with none."""
        own_options = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if args and args[0] not in self.commands and args[0].partition("=")[0] not in own_options:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def main(self, args: Sequence[str] | None = None, *names: Any, **settings: Any) -> NoReturn:
        """Run the command line and exit."""
        try:
            code = super().main(args, *names, **settings | {"standalone_mode": False})
        except TyperException as error:
            sys.exit(_explain_wrong_use(error))
        except (ConfigError, WeightsError) as error:
            say_error(self._with_options(str(error)))
            sys.exit(2)
        except (KeyboardInterrupt, typer.Abort):
            say_error("interrupted before anything was started")
            sys.exit(130)
        except (RestorationError, OSError) as error:
            say_error(one_line(error))
            sys.exit(1)
        except Exception as error:
            say_error(f"internal error, please report it: {type(error).__name__}: {error}")
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def _with_options(self, text: str) -> str:
        """Write arguments at the beginning of lines as the options that they are on the command line."""
        options = {name: option for command in _leaves(self) for name, option in _options(command)}

        def as_option(found: re.Match[str]) -> str:
            return options.get(found[1], found[1]) + found[2]

        return re.sub(r"^(\w+)(: )", as_option, text, flags=re.MULTILINE)


def _leaves(group: TyperGroup) -> Iterator[Any]:
    """Yield the commands of a group and of the groups below it."""
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from _leaves(command)
        else:
            yield command


def _options(command: Any) -> list[tuple[str, str]]:
    """Return each option's argument name and longest spelling."""
    return [
        (parameter.name, max(parameter.opts, key=len))
        for parameter in command.params
        if parameter.opts and parameter.opts[0].startswith("-")
    ]


def _explain_wrong_use(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    say_error(f"{error.format_message().rstrip('.')}{hint}")
    return 2
