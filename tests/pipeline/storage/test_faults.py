"""Whatever a storage does, the command says so, ends by the usual exit code, and goes on when it is run again."""

import errno
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import BrokenImage, OutOfSpace, RefusedImage
from pipeline.storage.objects import fetch, put
from run_pipeline import main

pytest.importorskip("fsspec")
from tests.pipeline.storage.faulty import Fault, FaultyFileSystem

Run = Callable[..., tuple[int, str]]


class ClientError(Exception):
    """As botocore's, which is no OSError."""

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyFileSystem]:
    """A storage with three images below ``in``."""
    monkeypatch.setattr(FaultyFileSystem, "store", {})
    monkeypatch.setattr(FaultyFileSystem, "pseudo_dirs", [""])
    FaultyFileSystem.clear_instance_cache()
    filesystem = FaultyFileSystem()
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        filesystem.pipe_file(f"/in/{name}.png", cv2.imencode(".png", pixels)[1].tobytes())
    yield filesystem
    FaultyFileSystem.clear_instance_cache()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Restore all images with a fault; return the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    arguments = ["restore", "faulty://in", "-o", "faulty://out", "-c", "chain.yaml", "--device", "cpu"]

    def call(fault: Fault = lambda method, path: None, *more: str) -> tuple[int, str]:
        monkeypatch.setattr(FaultyFileSystem, "fault", staticmethod(fault))
        monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *arguments, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = "".join(capfd.readouterr())
        assert "Traceback" not in printed
        assert "internal error" not in printed
        return int(ended.value.code or 0), printed

    return call


def raising(error: Exception, method: str, ending: str = "") -> Fault:
    """Return a fault of one method at paths that end so."""

    def fault(called: str, path: str) -> None:
        if called == method and path.endswith(ending):
            raise error

    return fault


def results(storage: FaultyFileSystem) -> set[str]:
    return {path.removeprefix("/out/") for path in storage.find("/out") if "/." not in path and ".jsonl" not in path}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError("Access Denied"), "the storage refuses access (Access Denied); check credentials and policy"),
        (ClientError("AccessDenied"), "the storage refuses access (An error occurred (AccessDenied))"),
        (PermissionError("The provided token has expired."), "the storage refuses access (The provided token has exp"),
        (TimeoutError("read timed out"), "the storage does not answer in time (read timed out)"),
        (OSError(errno.EBUSY, "Please reduce your request rate."), "Please reduce your request rate."),
    ],
)
@pytest.mark.parametrize(("method", "place"), [("get_file", "/in/b.png"), ("put_file", "/out/b.png")])
def test_what_fails_is_one_object_and_the_next_run_does_it(
    storage: FaultyFileSystem, run: Run, error: Exception, says: str, method: str, place: str
) -> None:
    code, printed = run(raising(error, method, place))
    assert code == 1
    assert f"failed: faulty://in/b.png: faulty:/{place}: {says}" in printed
    assert "3 inputs: 2 done, 1 failed in" in printed
    assert results(storage) == {"a.png", "c.png"}
    code, printed = run()
    assert code == 0
    assert "3 inputs: 1 done, 2 skipped in" in printed


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ClientError("XMinioStorageFull"), ClientError("507")])
def test_a_full_storage_ends_the_run_and_the_next_one_goes_on(
    storage: FaultyFileSystem, run: Run, error: Exception
) -> None:
    code, printed = run(raising(error, "put_file", "/out/b.png"))
    assert code == 1
    assert "no space left in the storage of faulty://out/b.png, ended after" in printed
    assert "the same command goes on with the others" in printed
    assert "b.png" not in results(storage)
    assert run()[0] == 0
    assert results(storage) == {"a.png", "b.png", "c.png"}


def test_a_storage_that_takes_nothing_fails_everything_and_the_run_log(storage: FaultyFileSystem, run: Run) -> None:
    code, printed = run(raising(PermissionError("Access Denied"), "put_file"))
    assert code == 1
    assert printed.count("failed: faulty://in/") == 3
    assert "restoration.jsonl/" in printed
    assert not results(storage)


def test_what_appears_in_the_meantime_is_not_replaced(storage: FaultyFileSystem, run: Run) -> None:
    def appear(method: str, path: str) -> None:
        if method == "put_file" and path.endswith("/out/b.png"):
            storage.pipe_file(path, b"theirs")
            raise ClientError("PreconditionFailed")

    code, printed = run(appear)
    assert code == 1
    assert "refused: faulty://in/b.png: faulty://out/b.png was created during this run" in printed
    assert storage.cat_file("/out/b.png") == b"theirs"


@pytest.mark.parametrize("error", [PermissionError("Access Denied"), ClientError("AccessDenied")])
def test_a_listing_that_is_refused_is_an_error_of_the_command(
    storage: FaultyFileSystem, run: Run, error: Exception
) -> None:
    code, printed = run(raising(error, "ls"))
    assert code == 2
    assert printed.startswith("faulty://in: the storage refuses access (")


def test_missing_credentials_are_an_error_of_the_command(storage: FaultyFileSystem, run: Run) -> None:
    code, printed = run(raising(Exception("Unable to locate credentials"), "ls"))
    assert code == 2
    assert printed.startswith("faulty://in: the storage refuses access (Unable to locate credentials)")


def test_a_token_that_expires_is_read_again_once(
    storage: FaultyFileSystem, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, refused = ["old"], list[str]()
    initialise, get_file = FaultyFileSystem.__init__, FaultyFileSystem.get_file

    def read_token(self: Any, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **options)
        self.token = tokens[-1]

    def get_with_token(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
        if path.endswith("b.png") and tokens[-1] == "old":
            tokens.append("new")
        if self.token != tokens[-1]:
            refused.append(path)
            raise PermissionError("The provided token has expired.")
        return get_file(self, path, *arguments, **options)

    FaultyFileSystem.clear_instance_cache()
    monkeypatch.setattr(FaultyFileSystem, "__init__", read_token)
    monkeypatch.setattr(FaultyFileSystem, "get_file", get_with_token)
    code, printed = run()
    assert (code, refused) == (0, ["/in/b.png"])
    assert "3 inputs: 3 done in" in printed


def test_a_page_shows_what_lies_in_the_storage(storage: FaultyFileSystem, run: Run) -> None:
    refuse = raising(PermissionError("Access Denied"), "get_file", "/out/c.png")
    for finished in ("3 done", "3 skipped"):
        code, printed = run(refuse, "--report", "page.html")
        assert code == 0
        assert f"3 inputs: {finished} in" in printed
        page = Path("page.html").read_text()
        assert page.count("<h2><bdi>faulty://in/") == 3
        assert page.count("data:image/webp;base64,") >= 4  # before and after of two inputs
        assert "faulty://out/c.png: the storage refuses access (Access Denied)" in page
        assert not Path(".page.html.partial").exists()


@pytest.fixture(scope="module")
def answers() -> Iterator[list[tuple[int, str]]]:
    """What an S3 server answers to the next requests, by status and code, before it does as it is asked."""
    s3fs = pytest.importorskip("s3fs")
    listed: list[tuple[int, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, code = listed.pop(0) if listed else (200, "")
            body = f"<Error><Code>{code}</Code><Message>as asked</Message></Error>".encode() if code else b"pixels"
            self.send_response(status)
            for name, value in (("Content-Length", str(len(body))), ("ETag", '"e"')):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = answer  # noqa: N815  (names of http.server)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "k")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        s3fs.S3FileSystem.clear_instance_cache()  # they keep the address
        yield listed
        s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()


def test_a_burst_of_refusals_is_sat_out(answers: list[tuple[int, str]], tmp_path: Path) -> None:
    answers += [(503, "SlowDown"), (503, "SlowDown")]
    fetch("s3://photos/a.png", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"pixels"
    assert not answers


@pytest.mark.parametrize(
    ("status", "code", "error", "says"),
    [
        (403, "AccessDenied", BrokenImage, r"s3://photos/a.png: the storage refuses access \(as asked\)"),
        (403, "QuotaExceeded", OutOfSpace, "no space left in the storage of s3://photos/a.png"),
        (507, "InsufficientStorage", OutOfSpace, "no space left in the storage of s3://photos/a.png"),
        (412, "PreconditionFailed", RefusedImage, "s3://photos/a.png was created during this run"),
    ],
)
def test_what_s3_refuses_is_said(
    answers: list[tuple[int, str]], tmp_path: Path, status: int, code: str, error: type[Exception], says: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"pixels")
    answers.append((status, code))
    with pytest.raises(error, match=says):
        put(tmp_path / "a.png", "s3://photos/a.png", {"input": "1"}, replaces=False)
    assert not answers
