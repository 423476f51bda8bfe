"""What the README and the documentation show is what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from skimage.io import imread, imsave

import run_pipeline
from train.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST_LINE = 120
# What stands for the command `restorechain` in a shell line, and the subcommand that it means.
PROGRAMS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("restorechain",): (),
    ("run_pipeline.py",): (),
    ("python", "run_pipeline.py"): (),
    ("python", "-m", "train"): ("train",),
}


def block(language: str) -> str:
    """Return the README's first block of code in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def fenced_blocks(text: str) -> Iterator[str]:
    """Yield what stands in fences of a Markdown page."""
    for found in re.finditer(r"^ *```[^`\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield found[1]


def commands(text: str) -> Iterator[str]:
    """Yield the commands in a page's fences: lines joined, ``a && b`` split, comments and ``.venv/bin/`` removed."""
    for fenced in fenced_blocks(text):
        for line in re.sub(r"\\\n", " ", fenced).splitlines():
            for command in line.split("&&"):
                words = command.replace(".venv/bin/", "").partition(" # ")[0].strip()
                if any(words.startswith(" ".join((*program, ""))) for program in PROGRAMS):
                    yield words


def arguments_of(command: str) -> list[str]:
    """Return what the command hands to the program, which itself becomes a subcommand where it means one."""
    words = shlex.split(command)
    program = next(program for program in PROGRAMS if tuple(words[: len(program)]) == program)
    given, meant = words[len(program) :], PROGRAMS[program]
    if meant == ("train",) and given[:1] and given[0] in {command.__name__ for command in COMMANDS}:
        meant = ()
    return [*meant, *given]


def parse(command: Any, name: str, arguments: list[str], parent: Any = None) -> None:
    """Parse arguments without running anything; raises what the command line would print."""
    context = command.make_context(name, arguments, parent=parent)
    if not hasattr(command, "resolve_command"):
        return
    subcommand_name, subcommand, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    parse(subcommand, subcommand_name, rest, context)


SHOWN = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}:{command}")
    for page in PAGES
    for command in commands(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("command", SHOWN)
def test_shown_commands_are_accepted(command: str) -> None:
    parse(typer.main.get_command(run_pipeline.app), "restorechain", arguments_of(command))


def test_wrong_commands_are_not() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(typer.main.get_command(run_pipeline.app), "restorechain", ["check", "--no-such-option"])


def test_commands_are_found_in_fences() -> None:
    page = "```\npip install x\nrestorechain check \\\n  a.yaml  # why\n```\n`restorechain no`\nrestorechain neither\n"
    assert [arguments_of(command) for command in commands(page)] == [["check", "a.yaml"]]
    installed = "```bash\npython3 -m venv .venv && .venv/bin/python run_pipeline.py examples -o restored\n```\n"
    assert [arguments_of(command) for command in commands(installed)] == [["examples", "-o", "restored"]]


def test_the_readme_shows_its_two_commands_first() -> None:
    restoring, testing = re.findall(r"^```(.*)\n", README, re.MULTILINE)[0:4:2]
    assert (restoring, testing) == ("bash", "bash tests")
    assert README.index("before_after.png") < README.index("```bash")
    assert "run_pipeline.py examples" in block("bash")
    assert "pytest" in block("bash tests")


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "examples").mkdir()
    imsave(tmp_path / "examples/coffee.jpg", imread(ROOT / "examples/coffee.jpg")[:64, :96])
    monkeypatch.chdir(tmp_path)
    exec(block("python"), {})
    assert imread("coffee_x2.png").shape == (128, 192, 3)


def test_the_chain_is_the_default_one() -> None:
    assert yaml.safe_load(block("yaml")) == yaml.safe_load((ROOT / "configs/restore_x2.yaml").read_text())


@pytest.mark.parametrize("place", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_what_the_readme_links_to_is_there(place: str) -> None:
    assert (ROOT / place).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short_but_for_tables(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert not long, f"{page.name}, lines {long}: longer than {LONGEST_LINE} characters"


def test_the_tests_that_a_page_names_are_there() -> None:
    named = re.findall(r"`([\w/]+/test_\w+\.py)`", (ROOT / "docs/world.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / "tests" / path).is_file()] == []


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))
