"""What storages raise, as the errors of restoration."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage, one_line

_FULL = ("XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity", "QuotaExceeded", "507")


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Say in one line what a storage refused.

    Raises:
        OutOfSpace: if the storage is full.
        RefusedImage: if there is an object that is not to be replaced (412).
        BrokenImage: for everything else.
    """
    try:
        yield
    except FileExistsError as error:
        raise RefusedImage(_appeared(url)) from error
    except FileNotFoundError as error:
        raise BrokenImage(f"{url}: there is no such object, or no such bucket") from error
    except PermissionError as error:
        raise BrokenImage(f"{url}: the storage refuses access ({error}); check credentials and policy") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or _code_of(error) in _FULL:
            raise OutOfSpace(f"no space left in the storage of {url}") from error
        if _code_of(error) in ("PreconditionFailed", "412"):
            raise RefusedImage(_appeared(url)) from error
        raise BrokenImage(f"{url}: {one_line(error)}") from error


def has_expired(error: PermissionError) -> bool:
    """Return whether a storage refuses a token because of its age; newer ones may have been put in its place."""
    return _code_of(error) in ("ExpiredToken", "ExpiredTokenException") or "expired" in str(error).lower()


def _appeared(url: str) -> str:
    return f"{url} was created during this run, by another program; restore it into another folder"


def _code_of(error: OSError) -> str:
    """Return the storage's own code, which botocore keeps; empty if there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
