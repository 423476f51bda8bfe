"""The commands ``restorechain weights``: shipped weights, and published ones of the catalogue."""

# Without `from __future__ import annotations`: Typer reads the annotations when a command is called.
# Anything that loads torch is imported by the command that needs it, so that --help is quick.

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stages.errors import WeightsError

weights_app = typer.Typer(
    no_args_is_help=True, help="List weights, describe, download, verify and remove published ones, add one's own."
)

_PURPOSES = "denoise, deblur, jpeg or upscale"
_Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="of the catalogue", show_default=False)]


@weights_app.command("list")
def list_weights(
    purpose: Annotated[str | None, typer.Option(help=_PURPOSES, show_default=False)] = None,
) -> None:
    """List shipped and published weights: purpose, size, licence, speed and quality."""
    from stages.weights_tables import weights_table

    Console().print(weights_table(purpose))


@weights_app.command("show")
def show_weights(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="a name that `list` shows, or a weights file")],
) -> None:
    """Describe weights: options, training, scores with their protocols; of published ones licence and origin."""
    from stages.catalogue.entry import entry_paths
    from stages.weights import resolve
    from stages.weights_tables import describe_entry, describe_weights

    entry = entry_paths().get(name)
    described = describe_weights(resolve(name, Path())) if entry is None else describe_entry(entry)
    Console().print(*described, sep="\n", highlight=False)


@weights_app.command("download")
def download_weights(
    names: _Names,
    accept_licence: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="accept the licence of these, which restricts their use; repeatable"),
    ] = None,
) -> None:
    """Download published weights ahead, as for a machine without a network."""
    from stages.catalogue.cache import obtain

    for path in _entries(names):
        typer.echo(obtain(path, accepted=accept_licence or ()))


@weights_app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)] = None,
) -> None:
    """Compare downloaded weights, by default all, with the size and SHA-256 that the catalogue names.

    Exits with 1 if any is damaged or missing.
    """
    from stages.catalogue.cache import fault_of, is_here, place_of
    from stages.catalogue.entry import entries, read_entry

    wrong = False
    chosen = ((path, read_entry(path)) for path in _entries(names or []))
    for path, entry in chosen if names else (found for found in entries() if is_here(*found)):
        place = place_of(path, entry)
        fault = fault_of(place, entry) if place.is_file() else "is missing"
        typer.echo(f"{path.stem}: {place} {fault or 'is right'}")
        wrong = wrong or fault is not None
    raise typer.Exit(1 if wrong else 0)


@weights_app.command("remove")
def remove_weights(names: _Names) -> None:
    """Delete downloaded weights, and entries that `add` made."""
    from stages.catalogue.cache import remove

    for path in _entries(names):
        for removed in remove(path):
            typer.echo(f"removed {removed}")


@weights_app.command("add")
def add_weights(
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="a published state_dict", show_default=False)],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="of the stage: depth=17")
    ] = None,
    name: Annotated[str | None, typer.Option(help="in the catalogue; by default that of the file")] = None,
    stage: Annotated[str | None, typer.Option(help="the stage that runs it; spandrel: whatever spandrel finds")] = None,
    sha256: Annotated[str | None, typer.Option(help="of the file; by default, that of what is there now")] = None,
    purpose: Annotated[str, typer.Option(help=_PURPOSES)] = "denoise",
    licence: Annotated[str, typer.Option(help="SPDX name or text")] = "unknown",
    origin: Annotated[str, typer.Option(help="who published it")] = "",
) -> None:
    """Add an entry to one's own catalogue: a file or a URL, whose SHA-256 is fixed from then on.

    The stage and its options can be left out for an entry of the catalogue whose SHA-256 is not known.
    """
    from stages.own_entries import add_entry

    choices = {"purpose": purpose, "licence": licence, "origin": origin}
    typer.echo(add_entry(source, name, stage=stage, options=options or [], sha256=sha256, **choices))


def _entries(names: list[str]) -> list[Path]:
    """Return the entries of names, all of them before anything is done.

    Raises:
        WeightsError: for a name that the catalogue does not have.
    """
    from difflib import get_close_matches

    from stages.catalogue.entry import entry_paths

    known = entry_paths()
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise WeightsError(f"no entry {name!r} in the catalogue; restorechain weights list shows all.{hint}")
    return [known[name] for name in names]
