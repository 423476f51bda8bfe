"""Train, compare, evaluate, degrade or grow: ``python -m train dncnn --data DIR``; `train` may be left out."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from pipeline.errors import ConfigError, RestorationError, one_line
from stages.errors import WeightsError
from train.commands import COMMANDS, register

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
register(app)


@app.callback()
def _commands() -> None:
    """Train the stages of chains. Without the name of a command, `train` is meant: python -m train dncnn --data DIR."""


def main() -> int:
    """Run the command line; return its exit code: 1 failed, 2 wrong use or configuration, 130 interrupted."""
    try:
        code = app(with_command(sys.argv[1:]), prog_name="python -m train", standalone_mode=False)
    except TyperException as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except (ConfigError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return 130
    except (RestorationError, OSError) as error:
        print(one_line(error), file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0


def with_command(words: list[str]) -> list[str]:
    """Put the command `train` before words that begin with none."""
    names = {command.__name__ for command in COMMANDS}
    return words if not words or words[0] in names or words[0].startswith("-") else ["train", *words]


if __name__ == "__main__":
    sys.exit(main())
