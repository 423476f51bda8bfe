"""File names are printed as text, whatever they hold."""

import os

from pipeline.text import printable


def test_commands_to_the_terminal_and_invalid_unicode_are_made_visible() -> None:
    assert printable("\x1b[2J\x9b\x07\rphoto\0.png") == "\\x1b[2J\\x9b\\x07\\x0dphoto\\x00.png"
    assert printable(os.fsdecode(b"\xffa\tb\n")) == "?a\tb\n"
