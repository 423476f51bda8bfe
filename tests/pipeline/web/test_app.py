"""What visitors send comes back restored, as the command line would have done it, and only to them."""

from __future__ import annotations

import io
import shlex
import sys
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from pipeline.web.app import WebPage
from pipeline.web.chains import Chains
from pipeline.web.gate import Gate
from pipeline.web.results import session_state
from pipeline.web.work import Worker
from run_pipeline import main
from tests.pipeline.conftest import VideoWriter
from tests.pipeline.web.conftest import photo, restored, sessions, start, upload, wait_for


def command_line(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def code_of(html: str, label: str) -> str:
    return unescape(html.partition(f'aria-label="{label}"><code>')[2].partition("</code>")[0])


@pytest.mark.parametrize("settings", [{}, {"strengths": {"unsharp_mask": 0.25}, "upscale": False, "format": "webp"}])
def test_the_shown_command_makes_the_very_file(
    page: WebPage, visitor: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict
) -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (24, 32, 4), np.uint16)
    content = cv2.imencode(".png", deep)[1].tobytes() if not settings else photo()
    job = restored(page, visitor, "my photo.png", content, **settings)
    html = visitor.get(f"/jobs/{job}/result").text
    monkeypatch.chdir(tmp_path)
    Path("my photo.png").write_bytes(content)
    Path("chain.yaml").write_text(code_of(html, "Chain as YAML"))
    command_line(monkeypatch, code_of(html, "Command") + " --device cpu --quiet")
    answer = visitor.get(f"/jobs/{job}/file")
    (made,) = Path("restored").glob("my photo.*")
    assert made.suffix == (".webp" if settings else ".png")
    assert answer.content == made.read_bytes()
    assert f"my%20photo{made.suffix}" in answer.headers["content-disposition"]


def test_the_page_has_every_chain_with_its_sentence(visitor: TestClient) -> None:
    html = visitor.get("/").text
    assert "<b>Sharper</b><br>Sharpens, then makes it larger.</span>" in html
    assert 'data-strength="unsharp_mask"' in html
    assert "up to 1 megapixels" in html
    for name in ("page.js", "page.css", "report.js", "report.css"):
        assert name in html
        assert visitor.get(f"/{name}").status_code == 200


def test_clips_go_through_a_chain_of_their_own(tmp_path: Path, chain_file: Path, write_video: VideoWriter) -> None:
    (tmp_path / "moving.yaml").write_text("# Moving: only larger.\nstages: [{stage: bicubic}]\n")
    page = WebPage(Chains([chain_file], tmp_path / "moving.yaml"), tmp_path / "visitors", 1_000_000, "cpu")
    visitor = TestClient(Gate(page.app, page.sessions), base_url="http://127.0.0.1:7860")
    assert "then makes it larger. Clips: by “Moving”.</span>" in visitor.get("/").text
    key = restored(page, visitor, "clip.mp4", write_video(times=range(0, 2 * 512, 512)).read_bytes())
    result = visitor.get(f"/jobs/{key}/result").text
    assert "Moving" in result
    assert code_of(result, "Chain as YAML") == "stages:\n- stage: bicubic\n"
    page.queue.close()


def test_the_default_chains_alone_are_prepared_at_the_start(
    tmp_path: Path, chain_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[list[str]] = []
    monkeypatch.setattr(Worker, "engine", lambda self, config: prepared.append(list(config.names)))
    for name in ("clahe", "bicubic"):
        (tmp_path / f"{name}.yaml").write_text(f"stages: [{{stage: {name}}}]\n")
    page = WebPage(Chains([chain_file, tmp_path / "clahe.yaml"], tmp_path / "bicubic.yaml"), tmp_path, 1_000_000, "cpu")
    wait_for(lambda: len(prepared) == 2)
    page.queue.close()
    assert prepared == [["unsharp_mask", "bicubic"], ["bicubic"]]


def test_a_result_shows_every_stage_under_the_slider(page: WebPage, visitor: TestClient) -> None:
    job = restored(page, visitor, "<b>.png", photo())
    html = visitor.get(f"/jobs/{job}/result").text
    assert "<b>.png" not in html
    assert 'type="range"' in html
    assert "32 \u00d7 24 \u2192 64 \u00d7 48 pixels" in html
    for number, name in enumerate(("input", "after unsharp_mask", "after bicubic")):
        assert name in html
        view = visitor.get(f"/jobs/{job}/views/{number}_whole.webp")
        assert view.headers["content-type"] == "image/webp"


def test_a_preview_restores_the_part_around_a_point(page: WebPage, visitor: TestClient) -> None:
    pixels = np.zeros((600, 800, 3), np.uint8)
    pixels[450:, 700:] = 255
    key = upload(visitor, "corner.png", cv2.imencode(".png", pixels)[1].tobytes())["key"]
    asked = {"kind": "preview", "settings": {}, "centre": [0.99, 0.99]}
    job = page.sessions.find_or_start(visitor.cookies["restorechain"]).find_job(
        visitor.post(f"/uploads/{key}/jobs", json=asked).json()["key"]
    )
    assert job is not None
    wait_for(lambda: not job.active)
    assert (job.state, job.views[0].size, job.views[-1].size) == ("done", (256, 256), (512, 512))
    assert visitor.get(f"/jobs/{job.key}/views/2_whole.webp").status_code == 200
    assert visitor.get(f"/jobs/{job.key}/file").status_code == 404
    seen = cv2.imdecode(np.fromfile(job.views[-1].whole, np.uint8), cv2.IMREAD_COLOR)
    assert seen is not None
    assert (seen[:200, :200].max(), seen[-200:, -180:].min()) == (0, 255)


def test_all_results_at_once(page: WebPage, visitor: TestClient) -> None:
    jobs = [restored(page, visitor, "a.png", photo(seed=seed)) for seed in (1, 2)]
    archive = zipfile.ZipFile(io.BytesIO(visitor.get("/session/results.zip").content))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.png", "a (2).png"]
    contents = [archive.read(name) for name in archive.namelist()]
    assert contents == [visitor.get(f"/jobs/{job}/file").content for job in jobs]


def test_the_examples_can_be_tried(page: WebPage, visitor: TestClient) -> None:
    assert visitor.get("/examples/coffee.jpg").status_code == 200
    key = visitor.post("/examples/coffee.jpg").json()["key"]
    assert visitor.get(f"/uploads/{key}/thumbnail").headers["content-type"] == "image/webp"
    assert visitor.post("/examples/..%2Fsetup.cfg").status_code == 404


def test_restoring_again_replaces_the_result(page: WebPage, visitor: TestClient) -> None:
    first = restored(page, visitor, "a.png", photo())
    (sent,) = sessions(page)[0].uploads.values()
    second = start(visitor, sent.key, strengths={"unsharp_mask": 0})
    job = sent.jobs["restore"]
    wait_for(lambda: not job.active)
    assert job.key == second
    assert visitor.get(f"/jobs/{first}/file").status_code == 404
    assert len(list(sent.folder.iterdir())) == 3  # the file, its thumbnail, one job


def test_what_was_measured_of_an_upload_is_shown(page: WebPage, visitor: TestClient) -> None:
    noise = np.random.default_rng(0).normal(128, 20, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    upload(visitor, "noise.png", cv2.imencode(".png", noise)[1].tobytes())
    (state,) = session_state(sessions(page)[0], page.queue)["uploads"]
    level = float(state["condition"].removeprefix("noise ").partition(",")[0])
    assert 18 < level < 22


def test_a_removed_file_is_gone(page: WebPage, visitor: TestClient) -> None:
    job = restored(page, visitor, "a.png", photo())
    (session,) = sessions(page)
    (key,) = session.uploads
    assert visitor.delete(f"/uploads/{key}").status_code == 204
    assert visitor.get(f"/jobs/{job}/file").status_code == 404
    assert list(session.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"chain": "/etc/passwd"}, "chain: got '/etc/passwd', expected one of sharper"),
        ({"strengths": {"dncnn": 1}}, "the chain has no stage 'dncnn'"),
        ({"strengths": {"bicubic": 2}}, "expected a number from 0 to 1"),
        ({"noise_levels": {"bicubic": 2}}, "the stage takes no noise level"),
        ({"format": "../png"}, "format: got '../png', expected one of png"),
        ({"weights": "/etc/passwd"}, "settings: weights: Extra inputs are not permitted"),
        ({"upscale": "never"}, "settings: upscale: "),
    ],
)
def test_wrong_settings_are_refused(visitor: TestClient, settings: dict, why: str) -> None:
    key = upload(visitor, "a.png", photo())["key"]
    answer = visitor.post(f"/uploads/{key}/jobs", json={"kind": "restore", "settings": settings})
    assert answer.status_code == 422
    assert why in answer.text


@pytest.mark.parametrize("body", ["", "[]", '{"kind": "other", "settings": {}}', '{"kind": "restore", "settings": 1}'])
def test_what_is_no_job_is_refused(visitor: TestClient, body: str) -> None:
    key = upload(visitor, "a.png", photo())["key"]
    assert visitor.post(f"/uploads/{key}/jobs", content=body).status_code == 422


def test_a_failure_is_worded_without_paths_of_the_server(page: WebPage, visitor: TestClient) -> None:
    content = cv2.imencode(".png", np.full((24, 32, 4), 100, np.uint8))[1].tobytes()  # JPEG holds no alpha
    key = start(visitor, upload(visitor, "clear.png", content)["key"], format="jpg")
    job = sessions(page)[0].find_job(key)
    wait_for(lambda: not job.active)
    assert job.state == "failed"
    assert "alpha" in str(job.error) or "transparent" in str(job.error)
    assert visitor.get(f"/jobs/{key}/result").status_code == 404


def test_visitors_do_not_reach_each_others_files(
    page: WebPage, visit: Callable[..., TestClient], visitor: TestClient
) -> None:
    job = restored(page, visitor, "a.png", photo())
    (key,) = sessions(page)[0].uploads
    addresses = [
        f"/jobs/{job}/{what}" for what in ("file", "result", "play", "views/0_whole.webp", "views/0_detail.webp")
    ]
    addresses += [f"/uploads/{key}/thumbnail"]
    assert [visitor.get(address).status_code for address in addresses] == [200] * len(addresses)
    other = visit()
    assert [other.get(address).status_code for address in addresses] == [404] * len(addresses)
    assert other.delete(f"/jobs/{job}").status_code == 404
    assert other.post(f"/uploads/{key}/jobs", json={"kind": "restore", "settings": {}}).status_code == 404
    other.delete(f"/uploads/{key}")
    assert zipfile.ZipFile(io.BytesIO(other.get("/session/results.zip").content)).namelist() == []
    assert visitor.get(f"/jobs/{job}/file").status_code == 200


def test_strengths_by_what_is_measured(page: WebPage, visitor: TestClient) -> None:
    job = restored(page, visitor, "a.png", photo(120, 160), strengths={"unsharp_mask": "auto"})
    html = visitor.get(f"/jobs/{job}/result").text
    assert "the strengths chosen by it: noise" in html
    assert "strength: auto" in code_of(html, "Chain as YAML")
    (sent,) = sessions(page)[0].uploads.values()
    start(visitor, sent.key, "preview", strengths={"unsharp_mask": "auto"})
    preview = sent.jobs["preview"]
    wait_for(lambda: not preview.active)
    assert "the strengths chosen by it: noise" in visitor.get(f"/jobs/{preview.key}/result").text
