"""Downloads from a server with faults: the whole right file or a clear error, never a wrong file."""

from __future__ import annotations

import hashlib
import random
import resource
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.catalogue.download import CHUNK, download
from stages.errors import WeightsError
from tests.stages.catalogue.faulty_server import (
    FaultyServer,
    cut,
    instead,
    redirect,
    running_server,
    silent,
    slow,
    status,
    without_length,
    without_ranges,
)

TENTH = 2 * CHUNK
CONTENT = random.Random(0).randbytes(10 * TENTH)
OTHER = random.Random(1).randbytes(len(CONTENT))


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SHA256 = sha256_of(CONTENT)


@pytest.fixture(autouse=True)
def _served(weights_server: FaultyServer) -> None:
    weights_server.files["net.pth"] = CONTENT


def fetch(folder: Path, *urls: str, size: int | None = len(CONTENT)) -> Path:
    """Download into a folder that is then empty, or holds the right file and nothing else."""
    target = folder / "cache" / "net.pth"
    target.parent.mkdir(exist_ok=True)
    try:
        download(urls, target, size=size, sha256=SHA256)
    finally:
        assert not target.exists() or target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["net.pth"]
    return target


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_right_file_arrives_by_one_request(tmp_path: Path, weights_server: FaultyServer, size: int | None) -> None:
    assert fetch(tmp_path, f"{weights_server.url}/net.pth", size=size).read_bytes() == CONTENT
    assert weights_server.requests == [("/net.pth", None)]


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("tenths", range(10))
def test_a_cut_download_goes_on_where_it_was_cut(
    tmp_path: Path, weights_server: FaultyServer, tenths: int, size: int | None
) -> None:
    weights_server.faults = [cut(tenths * TENTH)]
    fetch(tmp_path, f"{weights_server.url}/net.pth", size=size)
    assert [wanted for _, wanted in weights_server.requests] == [None, f"bytes={tenths * TENTH}-" if tenths else None]


def test_a_connection_may_be_cut_again_and_again(tmp_path: Path, weights_server: FaultyServer) -> None:
    weights_server.faults = [cut(TENTH)] * 9
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert len(weights_server.requests) == 10


@pytest.mark.parametrize("tenths", range(1, 10))
def test_the_next_run_goes_on_where_one_ended(tmp_path: Path, weights_server: FaultyServer, tenths: int) -> None:
    weights_server.faults = [cut(tenths * TENTH), *[cut(0)] * 3]
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch(tmp_path, f"{weights_server.url}/net.pth")
    weights_server.requests.clear()
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert weights_server.requests == [("/net.pth", f"bytes={tenths * TENTH}-")]


def test_another_url_goes_on_where_the_first_was_cut(tmp_path: Path, weights_server: FaultyServer) -> None:
    with running_server() as second:
        second.files["copy.pth"] = CONTENT
        weights_server.faults = [cut(TENTH), *[status(503)] * 3]
        fetch(tmp_path, f"{weights_server.url}/net.pth", f"{second.url}/copy.pth")
        assert second.requests == [("/copy.pth", f"bytes={TENTH}-")]


def test_a_server_without_ranges_sends_all_again(tmp_path: Path, weights_server: FaultyServer) -> None:
    weights_server.faults = [cut(TENTH), without_ranges]
    fetch(tmp_path, f"{weights_server.url}/net.pth")


def test_a_beginning_of_another_file_is_dropped(tmp_path: Path, weights_server: FaultyServer) -> None:
    weights_server.faults = [lambda handler, _: cut(TENTH)(handler, OTHER)]
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert [wanted for _, wanted in weights_server.requests] == [None, f"bytes={TENTH}-", None]


def test_a_server_of_another_file_that_cuts_every_time_is_given_up(
    tmp_path: Path, weights_server: FaultyServer
) -> None:
    weights_server.files["net.pth"] = OTHER
    weights_server.faults = [cut(5 * TENTH)] * 50
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert len(weights_server.requests) < 10


@pytest.mark.parametrize("left", [OTHER, OTHER + b"more"], ids=["whole", "too long"])
def test_what_an_earlier_run_left_is_verified(tmp_path: Path, weights_server: FaultyServer, left: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/.net.pth.part").write_bytes(left)
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert weights_server.requests == [("/net.pth", None)]


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"], ids=["whole", "too long"])
def test_a_range_past_the_end_is_asked_for_once_only(tmp_path: Path, weights_server: FaultyServer, left: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/.net.pth.part").write_bytes(left)
    fetch(tmp_path, f"{weights_server.url}/net.pth", size=None)
    assert [wanted for _, wanted in weights_server.requests] == [f"bytes={len(left)}-", None]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            instead(OTHER),
            f"holds another file (SHA-256 {sha256_of(OTHER)}, expected SHA-256 {SHA256})",
        ),
        (instead(CONTENT[:-1]), "holds a file of 163,839 bytes, expected 163,840"),
        (instead(CONTENT + b"x"), "holds a file of 163,841 bytes, expected 163,840"),
        (instead(b""), "holds a file of 0 bytes, expected 163,840"),
        (without_length(b"<html>quota exceeded</html>"), "sent 27 bytes, expected 163,840"),
        (without_length(CONTENT * 2), "sends more than 163,840 bytes"),
        (status(403), "HTTP 403 Forbidden"),
        (status(404), "HTTP 404 Not Found"),
    ],
    ids=["bytes", "short", "long", "empty", "page", "endless", "403", "404"],
)
def test_a_url_with_anything_else_is_left_for_the_next(
    tmp_path: Path, weights_server: FaultyServer, answer: object, message: str
) -> None:
    weights_server.faults = [answer, answer]
    with pytest.raises(WeightsError) as caught:
        fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert str(caught.value) == f"net.pth could not be downloaded:\n  {weights_server.url}/net.pth: {message}"
    assert list((tmp_path / "cache").iterdir()) == []
    fetch(tmp_path, f"{weights_server.url}/net.pth", f"{weights_server.url}/second/net.pth")
    assert weights_server.requests[-1] == ("/second/net.pth", None)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(tmp_path: Path, weights_server: FaultyServer, code: int) -> None:
    weights_server.faults = [status(code)] * 2
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    weights_server.faults = [status(code)] * 3
    with pytest.raises(WeightsError, match=f"HTTP {code}"):
        fetch(tmp_path / "cache", f"{weights_server.url}/net.pth")


def test_redirects_are_followed(tmp_path: Path, weights_server: FaultyServer) -> None:
    weights_server.faults = [redirect("/elsewhere/net.pth"), cut(TENTH), redirect("/elsewhere/net.pth")]
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert weights_server.requests[-1] == ("/elsewhere/net.pth", f"bytes={TENTH}-")


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(
    tmp_path: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.catalogue.download.READ_TIMEOUT", 0.1)
    weights_server.faults = [slow(0.02)]
    fetch(tmp_path, f"{weights_server.url}/net.pth")
    weights_server.faults = [silent(0.2)] * 3
    with pytest.raises(WeightsError, match="timed out"):
        fetch(tmp_path / "cache", f"{weights_server.url}/net.pth", size=len(CONTENT))


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://127.0.0.1:1/net.pth", "refused"), ("ftps//net.pth", "Invalid URL"), ("http://", "Invalid URL")],
)
def test_no_server_is_a_clear_error(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        fetch(tmp_path, url)


def test_a_full_disk_is_found_before_the_download(
    tmp_path: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e5))
    with pytest.raises(WeightsError, match=r"cache: 0 MB are free on the disk, 0 MB are needed"):
        fetch(tmp_path, f"{weights_server.url}/net.pth")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write past a size, as where a disk or a quota is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, weights_server: FaultyServer) -> None:
    with largest_file(TENTH), pytest.raises(WeightsError, match="File too large"):
        fetch(tmp_path, f"{weights_server.url}/net.pth")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_proxy_of_the_environment_is_used(
    tmp_path: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", weights_server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetch(tmp_path, "http://weights.invalid/net.pth")
    assert weights_server.requests == [("http://weights.invalid/net.pth", None)]


def test_an_own_certificate_authority_is_trusted(
    tmp_path: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Path(__file__).parent / "data" / "localhost.pem"  # signed by itself, for 127.0.0.1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    weights_server.socket = context.wrap_socket(weights_server.socket, server_side=True)
    url = f"https://127.0.0.1:{weights_server.server_port}/net.pth"
    with pytest.raises(WeightsError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(tmp_path, url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    fetch(tmp_path, url)


def test_threads_may_download_at_once(tmp_path: Path, weights_server: FaultyServer) -> None:
    threads = []
    for name in "ab":
        (tmp_path / name).mkdir()
        threads.append(threading.Thread(target=partial(fetch, tmp_path / name, f"{weights_server.url}/net.pth")))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((tmp_path / name / "cache/net.pth").read_bytes() == CONTENT for name in "ab")
