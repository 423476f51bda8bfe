"""The API by gradio_client, and the stream of states, over a real connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import pipeline.web.sessions
from pipeline.web.app import WebPage
from tests.pipeline.web.conftest import photo, sessions, wait_for

if TYPE_CHECKING:
    from gradio_client import Client


def handle_file(path: Path) -> Any:
    from gradio_client import handle_file  # takes two seconds, which collecting tests need not

    return handle_file(path)


@pytest.fixture
def page(page: WebPage) -> WebPage:
    pytest.importorskip("gradio", reason="needs the extra web")
    from pipeline.web.api import mount_api

    mount_api(page)
    return page


@pytest.fixture
def client(address: str, tmp_path: Path) -> Client:
    from gradio_client import Client

    return Client(f"{address}/api", verbose=False, analytics_enabled=False, download_files=tmp_path / "downloaded")


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    path.write_bytes(photo())
    return path


def test_a_photo_is_restored_as_on_the_page(client: Client, page: WebPage, sent: Path) -> None:
    path, measured = client.predict(handle_file(sent), format="webp", strengths={"bicubic": 1}, api_name="/restore")
    (session,) = sessions(page)
    (job,) = session.all_jobs()
    assert job.output is not None
    assert Path(path).name == "my photo.webp"
    assert Path(path).read_bytes() == job.output.read_bytes()
    assert measured["output_size"] == [64, 48]
    assert set(measured["stage_seconds"]) == {"unsharp_mask", "bicubic"}


def test_progress_comes_before_the_result(client: Client, sent: Path) -> None:
    states = [state for _, state in client.submit(handle_file(sent), api_name="/restore")]
    assert states[0]["state"] in ("waiting", "running")
    assert "output_size" in states[-1]


@pytest.mark.slow
def test_a_cancelled_call_frees_the_engine(client: Client, page: WebPage, sent: Path, endless: threading.Event) -> None:
    call = client.submit(handle_file(sent), api_name="/restore")
    assert endless.wait(60)
    (job,) = sessions(page)[0].all_jobs()
    call.cancel()
    wait_for(lambda: job.state == "cancelled")


def test_errors_come_in_words(client: Client, page: WebPage, sent: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="the chain has no stage 'dncnn'"):
        client.predict(handle_file(sent), strengths={"dncnn": 1}, api_name="/restore")
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(Exception, match="is not an image of a known format") as raised:
        client.predict(handle_file(text), api_name="/restore")
    assert str(page.sessions.root) not in str(raised.value)


class Listening(HTTPServer):
    """Notes every request: nobody should ask for anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

        asked = self.asked
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_nothing_is_fetched_or_read_for_a_visitor(address: str, page: WebPage) -> None:
    listening = Listening()
    with httpx.Client(base_url=f"{address}/api/gradio_api") as visitor:
        visitor.get(f"{address}/api/config")
        own = f"http://127.0.0.1:{listening.server_port}/a.png"
        for path in (own, "http://169.254.169.254/a.png", "file:///etc/passwd", "/etc/passwd", str(page.sessions.root)):
            given = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
            body = {"data": [given, "sharper", {"more": given}, {}, True, ""], "fn_index": 0, "session_hash": "s"}
            assert visitor.post("/queue/join", json=body).status_code == 200
            with visitor.stream("GET", "/queue/data", params={"session_hash": "s"}) as answer:
                text = "".join(answer.iter_text())
            assert "is not among your uploads" in text
            assert "root:" not in text
    listening.shutdown()
    assert listening.asked == []


def test_the_rest_of_gradio_is_closed(address: str) -> None:
    closed = (
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/file=http://example.com/a.png",
        "/gradio_api/file=http://169.254.169.254/latest",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://example.com/",
        "/file=/etc/passwd",
        "/gradio_api/runs",
        "/gradio_api/openapi.json",
        "/gradio_api/startup-events",
        "/gradio_api/queue/status",
        "/gradio_api/app_id",
        "/gradio_api/custom_component/1/client/component/index.js",
        "/monitoring",
        "/theme.css",
        "/manifest.json",
        "/",
    )
    with httpx.Client(base_url=f"{address}/api") as visitor:
        for path in closed:
            assert visitor.get(path).status_code == 404, path


def test_gradio_writes_no_uploads_and_shows_no_paths(client: Client, address: str, page: WebPage, sent: Path) -> None:
    with httpx.Client(base_url=address) as visitor:
        (path,) = visitor.post("/api/gradio_api/upload", files={"files": ("a.png", photo())}).json()
        (other,) = httpx.post(f"{address}/api/gradio_api/upload", files={"files": ("a.png", photo())}).json()
        assert path != other
        assert path.endswith("/a.png")
        assert not path.startswith("/")
        assert visitor.get(f"/api/gradio_api/file={path}").status_code == 404  # only results are handed out
    restored, _ = client.predict(handle_file(sent), api_name="/restore")
    (job,) = next(session for session in sessions(page) if list(session.all_jobs())).all_jobs()
    assert Path(restored).exists()
    result = f"{address}/api/gradio_api/file={job.key}/my photo.png"
    assert httpx.get(result, cookies=client.cookies).status_code == 200
    assert httpx.get(result).status_code == 404


def first_state(lines: Iterator[str]) -> Any:
    return json.loads(next(line for line in lines if line).removeprefix("data: "))


def test_an_open_page_hears_of_changes_and_is_found_again(
    address: str, page: WebPage, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx.Client(base_url=address) as visitor:
        visitor.get("/")
        with visitor.stream("GET", "/session/events") as events:
            lines = events.iter_lines()
            assert first_state(lines) == {"uploads": []}
            (key,) = [one["key"] for one in visitor.post("/uploads", files={"files": ("a.png", photo())}).json()]
            assert first_state(lines)["uploads"][0]["size"] == [32, 24]
            visitor.post(f"/uploads/{key}/jobs", json={"kind": "restore", "settings": {}})
            assert endless.wait(60)
        with visitor.stream("GET", "/session/events") as events:  # the page was loaded again
            (state,) = first_state(events.iter_lines())["uploads"]
            assert state["jobs"]["restore"]["state"] == "running"
        (session,) = [one for one in sessions(page) if one.uploads]
        (job,) = session.all_jobs()
        monkeypatch.setattr(pipeline.web.sessions, "GRACE", 0.0)
        wait_for(lambda: job.state == "cancelled")  # nobody watches any more
        wait_for(lambda: not session.folder.exists())
