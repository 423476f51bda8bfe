"""What must not get in, and what must not get out."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import pipeline.web.gate
from pipeline.errors import ConfigError
from pipeline.web.app import WebPage
from pipeline.web.gate import allowed_hosts, read_accounts
from tests.pipeline.web.conftest import photo, restored, sessions, upload


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><image href="file:///etc/passwd"/></svg>'
HTML = b"<!DOCTYPE html><script>alert(document.cookie)</script>"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://169.254.169.254/latest\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("image.svg", SVG, "is no photo or video of a known type"),
        ("image.png", SVG, "is not an image of a known format"),
        ("page.html", HTML, "is no photo or video of a known type"),
        ("page.jpg", HTML, "is not an image of a known format"),
        ("bomb.png", claiming(60_000, 60_000), "claims 60000 x 60000 = 3600 megapixels, expected at most 1"),
        ("large.png", claiming(1001, 1000), "expected at most 1"),
        ("empty.png", b"", "is empty"),
        ("list.mp4", PLAYLIST, "is a list of other files"),
        ("list.ts", b"\xef\xbb\xbf  " + PLAYLIST, "is a list of other files"),
        ("list.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n", "is a list of other files"),
        ("list.webm", b"\x01<MPD profiles='urn:mpeg:dash:profile:isoff'>", "is a list of other files"),
        ("list.mov", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "is a list of other files"),
        ("text.mp4", b"file:///etc/passwd", "cannot be read as a video"),
        ("chain.yaml", b"stages: [{stage: dncnn, weights: /etc/passwd}]", "is no photo or video of a known type"),
        ("weights.safetensors", b"\0" * 64, "is no photo or video of a known type"),
    ],
)
def test_what_is_no_photo_is_refused_in_words(
    page: WebPage, visitor: TestClient, name: str, content: bytes, why: str
) -> None:
    answer = upload(visitor, name, content)
    assert why in answer["error"]
    assert str(page.sessions.root) not in str(answer)
    (session,) = sessions(page)
    assert list(session.folder.iterdir()) == []
    job = visitor.post(f"/uploads/{answer['key']}/jobs", json={"kind": "restore", "settings": {}})
    assert job.status_code == 422


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/cron.d/x.png",
        "..\\..\\x.png",
        "/etc/passwd.png",
        "a/../../b.png",
        "..",
        ".png",
        "\0a.png",
        "x" * 4000 + ".png",
    ],
)
def test_names_cannot_leave_the_visitors_folder(page: WebPage, visitor: TestClient, name: str) -> None:
    upload(visitor, name, photo())
    (session,) = sessions(page)
    inside = [path for path in page.sessions.root.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(session.folder) for path in inside)
    (sent,) = session.uploads.values()
    assert sent.path.parent == sent.folder


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/file=/etc/passwd",
        "/file=http://127.0.0.1:22/",
        "/examples/..%2f..%2fsetup.cfg",
    ],
)
def test_no_address_reads_a_file_of_the_server(visitor: TestClient, path: str) -> None:
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("name", ["..%2f..%2f.restored", "%2e%2e/result", "restoration.jsonl"])
def test_views_are_no_way_into_the_folder(page: WebPage, visitor: TestClient, name: str) -> None:
    job = restored(page, visitor, "a.png", photo())
    assert visitor.get(f"/jobs/{job}/views/{name}").status_code == 404


def test_every_answer_restricts_what_a_browser_may_do(visitor: TestClient) -> None:
    for path in ("/", "/page.js", "/nowhere", "/examples/coffee.jpg"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
    cookie = visitor.get("/", headers={"cookie": ""}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_an_invented_cookie_becomes_no_session(page: WebPage, visitor: TestClient) -> None:
    visitor.get("/", headers={"cookie": "restorechain=mine"})
    assert "mine" not in [session.token for session in sessions(page)]
    assert visitor.get("/", headers=[(b"cookie", b"\xff;;=;restorechain")]).status_code == 200


def test_the_page_fetches_nothing_from_elsewhere(visitor: TestClient) -> None:
    for path in ("/", "/page.js", "/page.css", "/report.js", "/report.css"):
        assert "://" not in visitor.get(path).text
        assert "url(" not in visitor.get(path).text


def test_too_many_bytes_are_refused(visitor: TestClient, page: WebPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.web.gate, "LARGEST_UPLOAD", 10_000)
    assert visitor.post("/uploads", files={"files": ("a.png", b"x" * 20_000)}).status_code == 413

    def unannounced() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 1000
        yield b"\r\n--x--\r\n"

    form = {"content-type": "multipart/form-data; boundary=x"}
    assert visitor.post("/uploads", content=unannounced(), headers=form).status_code == 413
    assert all(not session.uploads for session in sessions(page))


def test_other_pages_cannot_send_anything(visitor: TestClient) -> None:
    own, foreign = {"origin": "http://127.0.0.1:7860"}, {"origin": "http://evil.example"}
    assert visitor.post("/examples/coffee.jpg", headers=own).status_code == 201
    assert visitor.post("/examples/coffee.jpg", headers=foreign).status_code == 403
    assert visitor.post("/examples/coffee.jpg", headers={"origin": "null"}).status_code == 403


def test_names_that_resolve_to_this_machine_are_refused(visit: Callable[..., TestClient]) -> None:
    visitor = visit(hosts=allowed_hosts("127.0.0.1"))
    assert visitor.get("/").status_code == 200
    assert visitor.get("/", headers={"host": "localhost:7860"}).status_code == 200
    assert visitor.get("/", headers={"host": "[::1]:7860"}).status_code == 200
    assert visitor.get("/", headers={"host": "evil.example:7860"}).status_code == 421
    assert allowed_hosts("0.0.0.0") == allowed_hosts("house.local") == frozenset()


def test_passwords(visit: Callable[..., TestClient], tmp_path: Path) -> None:
    path = tmp_path / "accounts"
    path.write_text("ann:se:cret\n\nbob:other\n")
    path.chmod(0o600)
    visitor = visit(accounts=read_accounts(path))
    assert visitor.get("/").status_code == 401
    assert visitor.get("/", auth=("ann", "se:cret")).status_code == 200
    assert visitor.get("/page.js", auth=("bob", "other")).status_code == 200
    for wrong in (("ann", "other"), ("eve", ""), ("", ""), ("ann", "")):
        assert visitor.get("/", auth=wrong).status_code == 401
    assert visitor.get("/", headers=[(b"authorization", b"Basic \xff")]).status_code == 401


@pytest.mark.parametrize(("text", "why"), [("", "other form"), ("ann\n", "other form"), ("ann:\n", "other form")])
def test_wrong_accounts(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "accounts"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=why):
        read_accounts(path)
    path.write_text("ann:x\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_accounts(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_accounts(tmp_path / "missing")


def test_too_many_files_are_refused(page: WebPage, visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.web.uploads.MOST_UPLOADS", 1)
    upload(visitor, "a.png", photo())
    answer = visitor.post("/uploads", files={"files": ("b.png", io.BytesIO(photo()))})
    assert (answer.status_code, answer.text) == (409, "1 files are here already; remove some first")
