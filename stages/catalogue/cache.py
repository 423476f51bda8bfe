"""Weights files of the catalogue on this machine: where they lie, whether they are right, how they come here."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from stages.atomic import working_path
from stages.catalogue.download import Progress, download
from stages.catalogue.entry import Entry, own_folder, read_entry
from stages.errors import WeightsError


def cache_folder() -> Path:
    """Return where downloaded weights lie: the user's cache, or what ``RESTORECHAIN_CACHE`` says."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("RESTORECHAIN_CACHE")
    return Path(chosen) if chosen else user_cache_path("restorechain") / "weights"


def offline() -> bool:
    """Return whether ``RESTORECHAIN_OFFLINE`` forbids downloads."""
    return os.environ.get("RESTORECHAIN_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def place_of(path: Path, entry: Entry) -> Path:
    """Return where an entry's weights lie once they are here; new bytes under an old name have another place.

    Args:
        path: The entry's file.
        entry: Its content.
    """
    for url in entry.urls:
        if (local := _local(path, url)) is not None and local.is_file():
            return local
    suffix = Path(urlparse(entry.urls[0]).path).suffix or ".pth"
    return cache_folder() / f"{path.stem}-{known_sha256(path, entry)[:8]}{suffix}"


def known_sha256(path: Path, entry: Entry) -> str:
    """Return the SHA-256 that an entry names.

    Raises:
        WeightsError: if it names none.
    """
    if entry.sha256 is None:
        raise WeightsError(
            f"{path.stem}: no SHA-256 of the published file is known, so that it could not be verified; look at what "
            f"is offered, then: restorechain weights add {entry.urls[0]} --name {path.stem}"
        )
    return entry.sha256


def is_here(path: Path, entry: Entry) -> bool:
    """Return whether the weights of an entry are on this machine, without reading them."""
    return entry.sha256 is not None and place_of(path, entry).is_file()


def fault_of(file: Path, entry: Entry) -> str | None:
    """Return in what a file differs from its entry, first its size, then its SHA-256; None if it is the right one.

    Raises:
        OSError: if it cannot be read.
    """
    size = file.stat().st_size
    if entry.size is not None and size != entry.size:
        return f"has {size:,} bytes, expected {entry.size:,}"
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return None if digest == entry.sha256 else f"has the SHA-256 {digest}, expected {entry.sha256}"


def obtain(path: Path, *, accepted: Collection[str] = (), allow_download: bool | None = None) -> Path:
    """Return the verified weights of an entry, after downloading them if they are not here.

    Licence and origin are printed before a download. Runs that want the same file at the same time share one download.

    Args:
        path: The entry's file.
        accepted: Names of entries whose licence, which restricts what may be done with them, the user accepts.
        allow_download: By default, unless ``RESTORECHAIN_OFFLINE`` is set.

    Raises:
        WeightsError: if they are not here and cannot or must not be downloaded, or are damaged and not in the cache.
    """
    entry = read_entry(path)
    known_sha256(path, entry)
    place = place_of(path, entry)
    if _verified(place, entry):
        return place
    if not (not offline() if allow_download is None else allow_download):
        raise WeightsError(
            f"{path.stem}: the weights are not in {place.parent}, and downloads are off (--offline, "
            f"RESTORECHAIN_OFFLINE); where there is a network: restorechain weights download {path.stem}"
        )
    if entry.uses != "any" and path.stem not in accepted:
        raise WeightsError(
            f"{path.stem}: its licence does not allow every use ({entry.terms}); if yours is allowed: "
            f"restorechain weights download {path.stem} --accept-licence {path.stem}"
        )
    with _locked(place):
        if not _verified(place, entry):  # by another run, in the meantime
            _download(path, entry, place)
    return place


def _verified(place: Path, entry: Entry) -> bool:
    """Return whether the right file is there. A damaged one counts as missing in the cache, where it is replaced."""
    if not place.is_file():
        return False
    fault = fault_of(place, entry)
    if fault is not None and place.parent != cache_folder():
        raise WeightsError(f"{place} {fault}")
    return fault is None


def _local(path: Path, url: str) -> Path | None:
    return None if urlparse(url).scheme in ("http", "https") else path.parent / url


def _download(path: Path, entry: Entry, place: Path) -> None:
    urls = [url for url in entry.urls if _local(path, url) is None]
    if not urls:
        raise WeightsError(f"{path}: urls: no such file: {path.parent / entry.urls[0]}")
    if mirror := os.environ.get("RESTORECHAIN_MIRROR"):
        urls.insert(0, f"{mirror.rstrip('/')}/{place.name}")
    caution = f"\n  {entry.caution}" if entry.caution else ""
    print(f"downloading {path.stem}: {entry.megabytes}; {entry.terms}{caution}", file=sys.stderr)
    with progress_bar() as progress:
        download(urls, place, size=entry.size, sha256=entry.sha256, progress=progress)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_name(f".{place.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"waiting for another run that downloads {place.name}", file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise WeightsError(f"{place.parent}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a download's progress on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


def remove(path: Path) -> list[Path]:
    """Delete an entry's downloaded weights, what a cut download left, and the entry itself if it is the user's own.

    Returns:
        What was deleted. A file that lies outside the cache stays.
    """
    entry = read_entry(path)
    own = [path] if path.parent == own_folder() else []
    place = place_of(path, entry) if entry.sha256 else path
    cached = [place, working_path(place, ".part")] if place.parent == cache_folder() else []
    found = [file for file in (*cached, *own) if file.exists()]
    for file in found:
        file.unlink()
    return found
