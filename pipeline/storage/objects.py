"""List, fetch and put objects by fsspec; an object appears whole or not at all, with a note of what it was made from.

S3 keeps the note as metadata of the object. For other storages it is an object of its own beside it, put before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ConfigError
from pipeline.storage.errors import has_expired, storage_errors
from stages.extras import install_hint

Result = TypeVar("Result")

_URL = re.compile(r"[a-z][a-z0-9+.-]+://.")
_PAGE = 1000  # keys in a page of S3's listing
_PREFIX = "restorechain-"  # of the names of metadata
_NOTE = ".restorechain.json"


def is_url(text: str) -> bool:
    """Return whether a text is the URL of an object or prefix, such as ``s3://bucket/photos``."""
    return _URL.match(text) is not None


def joined(url: str, relative: str) -> str:
    """Return the URL of what lies below another."""
    return f"{url.rstrip('/')}/{relative}"


def list_objects(url: str) -> Iterator[str]:
    """Yield the keys below a prefix, relative to it, while they are listed; an empty one for an object itself.

    Objects that only mark a folder are left out.

    Raises:
        ImageError: if the storage refuses.
    """
    with storage_errors(url):
        filesystem, path = _connected(url)
        if not url.endswith("/") and filesystem.isfile(path):
            yield ""
            return
        start = f"{path.rstrip('/')}/"
        for key in _keys(filesystem, start):
            if not key.endswith("/"):
                yield key.removeprefix(start)


def version_of(url: str) -> str:
    """Return a text that changes with an object, without reading it.

    Raises:
        ImageError: if the storage refuses.
    """
    return _asked(url, lambda filesystem, path: _version(filesystem.info(path)))


def fetch(url: str, path: Path) -> None:
    """Download an object.

    Raises:
        ImageError: if the storage refuses.
    """
    _asked(url, lambda filesystem, key: filesystem.get_file(key, str(path)))


def note_on(url: str) -> dict[str, str] | None:
    """Return what ``put`` noted on an object; empty for one of other origin, None if there is no object.

    Raises:
        ImageError: if the storage refuses.
    """

    def read(filesystem: Any, path: str) -> dict[str, str] | None:
        if not filesystem.exists(path):
            return None
        if _keeps_metadata(filesystem):
            found = filesystem.metadata(path)
            return {name.removeprefix(_PREFIX): found[name] for name in found if name.startswith(_PREFIX)}
        beside = _beside(path)
        return json.loads(filesystem.cat_file(beside)) if filesystem.exists(beside) else {}

    return _asked(url, read)


def put(path: Path, url: str, note: Mapping[str, str], *, replaces: bool) -> None:
    """Upload a file with a note.

    Args:
        path: The file.
        url: Where it goes.
        note: ASCII texts by lower-case names.
        replaces: Replace an object that is there; otherwise one is refused.

    Raises:
        OutOfSpace: if the storage is full.
        RefusedImage: if there is an object that is not to be replaced.
        ImageError: if the storage refuses.
    """
    mode = "overwrite" if replaces else "create"

    def write(filesystem: Any, key: str) -> None:
        if _keeps_metadata(filesystem):
            metadata = {f"{_PREFIX}{name}": text for name, text in note.items()}
            filesystem.put_file(str(path), key, mode=mode, Metadata=metadata)
            return
        if not replaces and filesystem.exists(key):
            raise FileExistsError(key)
        if note:
            filesystem.pipe_file(_beside(key), json.dumps(dict(note)).encode())
        filesystem.put_file(str(path), key, mode=mode)

    _asked(url, write)


def _asked(url: str, ask: Callable[[Any, str], Result]) -> Result:
    """Ask the storage of an object; once more with fresh credentials where a token has expired."""
    with storage_errors(url):
        filesystem, path = _connected(url)
        try:
            return ask(filesystem, path)
        except PermissionError as error:
            if not has_expired(error):
                raise
            filesystem.clear_instance_cache()
            return ask(*_connected(url))


def _connected(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        ConfigError: if there is none, or a package is missing.
    """
    try:
        import fsspec
    except ImportError as error:
        raise ConfigError(f"{url}: fsspec is missing; {install_hint('cluster')}") from error
    try:
        return fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{url}: {error}") from error


def _keys(filesystem: Any, start: str) -> Iterator[str]:
    """Yield all paths that begin so; of S3 page by page, of others folder by folder."""
    if _keeps_metadata(filesystem):
        from fsspec.asyn import sync

        bucket, prefix, _ = filesystem.split_path(start)
        entries = filesystem._iterdir(bucket, prefix=prefix, delimiter="")
        while page := sync(filesystem.loop, _next_page, entries):
            yield from page
    else:
        for folder, _, names in filesystem.walk(start.rstrip("/"), on_error=_raise_unless_missing):
            for name in sorted(names):
                yield f"{folder.rstrip('/')}/{name}"


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


async def _next_page(entries: Any) -> list[str]:
    found: list[str] = []
    async for entry in entries:
        found.append(entry["name"])
        if len(found) == _PAGE:
            break
    return found


def _version(info: Mapping[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "md5", "generation"):
        if info.get(name):
            return f"{info.get('size')} {info[name]}".replace('"', "")
    when = info.get("LastModified") or info.get("last_modified") or info.get("mtime") or info.get("created")
    return f"{info.get('size')} {when}"


def _keeps_metadata(filesystem: Any) -> bool:
    return "s3" in filesystem.protocol


def _beside(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}{_NOTE}"
