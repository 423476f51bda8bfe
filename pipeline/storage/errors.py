"""What storages raise, as the errors of restoration."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage, RestorationError, one_line

_FULL = ("XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity", "QuotaExceeded", "507")
_TAKEN = ("PreconditionFailed", "412")
_MISSING = ("NoSuchBucket", "NoSuchKey", "404")
_REFUSED = ("AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403")


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
    except RestorationError:
        raise
    except Exception as error:  # not all that botocore and its like raise are OSErrors
        raise _explained(url, error) from error


def _explained(url: str, error: Exception) -> RestorationError:
    code = _code_of(error)
    if code in _FULL or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(f"no space left in the storage of {url}")
    if code in _TAKEN or isinstance(error, FileExistsError):
        return RefusedImage(
            f"{url} was created during this run, by another program; restore it into another folder", "in the way"
        )
    if code in _MISSING or isinstance(error, FileNotFoundError):
        return BrokenImage(f"{url}: there is no such object, or no such bucket")
    if code in _REFUSED or isinstance(error, PermissionError) or "credential" in str(error).lower():
        return BrokenImage(f"{url}: the storage refuses access ({error}); check credentials and policy")
    if isinstance(error, TimeoutError) or "timed out" in str(error).lower():
        return BrokenImage(f"{url}: the storage does not answer in time ({error}); the same command tries it again")
    return BrokenImage(f"{url}: {one_line(error)}")


def has_expired(error: Exception) -> bool:
    """Return whether a storage refuses a token because of its age; newer ones may have been put in its place."""
    return _code_of(error) in ("ExpiredToken", "ExpiredTokenException") or "expired" in str(error).lower()


def _code_of(error: Exception) -> str:
    """Return the storage's own code, which botocore keeps; empty if there is none."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
