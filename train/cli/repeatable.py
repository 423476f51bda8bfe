"""Options that take several values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand


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
