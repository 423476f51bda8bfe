"""Download a file of known size and SHA-256: resumed where it was cut, verified, then renamed into place by pooch.

Proxies (``HTTPS_PROXY``) and own certificate authorities (``REQUESTS_CA_BUNDLE``) are those of the environment, as
everywhere in requests.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.atomic import working_path
from stages.errors import WeightsError

if TYPE_CHECKING:
    from requests import Response

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, if that is known."""

CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0  # seconds
WAITS = (1.0, 3.0)  # seconds before each further attempt at a server that is busy or sends nothing
CHUNK = 1 << 13  # bytes; what of one is cut is lost
_BUSY = (429, 500, 502, 503, 504)


class _Unusable(Exception):  # noqa: N818  (an outcome of one URL, which never leaves this module)
    """A URL does not give the file, and trying again would not help."""


class _Busy(Exception):  # noqa: N818
    """A URL does not give the file now, but may later."""


def download(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None,
    sha256: str | None,
    progress: Progress = lambda done, size: None,
) -> None:
    """Download from the first URL that gives the right file, and move it to ``target``.

    What was cut is continued, also by another run and from another URL. Without ``sha256`` nothing is verified but
    the size, if that is known.

    Raises:
        WeightsError: if no URL gives the file, with the reason of each, or if it cannot be written.
    """
    failures = []
    for url in urls:
        try:
            _from_url(url, target, size, sha256, progress)
        except _Unusable as reason:
            failures.append(f"  {url}: {reason}")
        except OSError as error:
            raise WeightsError(f"{error.filename or target.parent}: {error.strerror or error}") from error
        else:
            return
    raise WeightsError(f"{target.name} could not be downloaded:\n" + "\n".join(failures))


def _from_url(url: str, target: Path, size: int | None, sha256: str | None, progress: Progress) -> None:
    """Attempt one URL until it gives the file, is of no use, or brings nothing new ``len(WAITS) + 1`` times."""
    transfer = _Transfer(working_path(target, ".part"), size, progress)
    most, waits = transfer.length, iter(WAITS)
    while (reason := _attempt(url, target, sha256, transfer)) is not None:
        if transfer.length > most:
            most, waits = transfer.length, iter(WAITS)
            continue
        wait = next(waits, None)
        if wait is None:
            raise _Unusable(reason)
        time.sleep(wait)


def _attempt(url: str, target: Path, sha256: str | None, transfer: _Transfer) -> str | None:
    """Send one request. Return None once the file is in its place, else why it is not, if another may help."""
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(url, sha256 and f"sha256:{sha256}", target.name, target.parent, downloader=transfer)
    except (RequestException, _Busy) as error:
        if isinstance(error, ValueError):  # the URL itself is malformed
            raise _Unusable(str(error)) from error
        return _describe(error)
    except ValueError as error:  # pooch has deleted the file
        reason = f"holds another file ({_other_digest(str(error), sha256)}, expected SHA-256 {sha256})"
        if not transfer.continued:
            raise _Unusable(reason) from error
        return reason  # what was continued may have been the beginning of another file
    return None


def _other_digest(text: str, expected: str | None) -> str:
    found = [digest for digest in re.findall(r"\b[0-9a-f]{64}\b", text) if digest != expected]
    return f"SHA-256 {found[0]}" if found else text


def _describe(error: Exception) -> str:
    """Return the innermost cause of a request's failure in a line."""
    text = str(error.args[0]) if error.args else type(error).__name__
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return " ".join(str(reason or text).split())


class _Transfer:
    """What pooch calls to bring one file: continues what is there already."""

    def __init__(self, part: Path, size: int | None, progress: Progress) -> None:
        self.part = part
        self.size = size
        self.progress = progress
        self.continued = False

    @property
    def length(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.exists() else 0

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests

        start = self.length
        if self.size is not None and start >= self.size:  # of a run that ended before it could be verified
            self.continued = True
        else:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
            timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                self._store(response)
        self.part.replace(output_file)

    def _store(self, response: Response) -> None:
        self._check_status(response)
        start = self.length if response.status_code == 206 else 0
        self.continued = start > 0
        total = self._total(response, start)
        _need_space(self.part.parent, (total or 0) - start)
        try:
            self._append(response, start, total)
        except OSError as error:
            # requests' own errors are OSErrors, too. What was received keeps its worth only if the size was right.
            if total is None or not _is_from_network(error):
                self.part.unlink(missing_ok=True)
            raise
        if total is not None and self.length != total:
            raise _Busy(f"sent {self.length:,} of {total:,} bytes")

    def _check_status(self, response: Response) -> None:
        if response.status_code in _BUSY:
            raise _Busy(f"HTTP {response.status_code} {response.reason}")
        if response.status_code == 416:  # it has less than what is here
            self.part.unlink()
            raise _Busy("cannot be continued")
        if response.status_code not in (200, 206):
            raise _Unusable(f"HTTP {response.status_code} {response.reason}")

    def _total(self, response: Response, start: int) -> int | None:
        """Return the size of the whole file: as the server says, which must be the right one, or as is known."""
        if response.status_code == 206:
            ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if ranged is None or int(ranged[1]) != start:
                self.part.unlink()
                raise _Busy("continued at another place than asked")
            total: int | None = int(ranged[2])
        else:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
        if total is not None and self.size is not None and total != self.size:
            raise _Unusable(f"holds a file of {total:,} bytes, expected {self.size:,}")
        return total

    def _append(self, response: Response, start: int, total: int | None) -> None:
        limit = total if total is not None else self.size
        with self.part.open("ab" if start else "wb") as file:
            done = start
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if limit is not None and done > limit:
                    file.close()
                    self.part.unlink()
                    raise _Unusable(f"sends more than {limit:,} bytes")
                self.progress(done, limit)
        if total is None and self.size is not None and done != self.size:
            self.part.unlink()
            raise _Unusable(f"sent {done:,} bytes, expected {self.size:,}")


def _is_from_network(error: OSError) -> bool:
    from requests import RequestException

    return isinstance(error, RequestException)


def _need_space(folder: Path, wanted: int) -> None:
    with suppress(OSError):  # a file system that does not say
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise WeightsError(f"{folder}: {free / 1e6:.0f} MB are free on the disk, {wanted / 1e6:.0f} MB are needed")
