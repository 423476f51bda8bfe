"""Names of files, made harmless."""

from __future__ import annotations

import pytest

from pipeline.web.uploads import harmless_name


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Größe ✓ (1).JPG", "Größe ✓ (1).JPG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\a.png", "a.png"),
        ("a\0\n\u202eb.png", "ab.png"),
        (".hidden.png", "hidden.png"),
        ("..", "file"),
        ("", "file"),
        ("x" * 300 + ".png", "x" * 150 + ".png"),
        ("é" * 300 + ".png", "é" * 75 + ".png"),
    ],
)
def test_names_are_made_harmless(name: str, harmless: str) -> None:
    assert harmless_name(name) == harmless
