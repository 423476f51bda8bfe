"""The page in a real browser: by the keyboard alone, at the width of a phone, light and dark, without a leak.

Needs Chromium, and ``pip install playwright axe-playwright-python``.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pipeline.web.sessions
from pipeline.web.app import WebPage
from run_pipeline import main
from tests.pipeline.conftest import VideoWriter
from tests.pipeline.web.conftest import photo, sessions, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1440, "height": 900}}
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Open the page as a visitor with cookies of their own; nothing else may be asked for, and no error shown."""
    problems: list[str] = []
    contexts = []

    def call(size: str = "desktop", scheme: str = "light") -> Any:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, accept_downloads=True)
        contexts.append(context)
        context.on("request", lambda request: note(request.url, request.url.startswith((address, "data:", "blob:"))))
        context.on("console", lambda message: note(message.text, message.type != "error"))
        context.on("weberror", lambda error: note(str(error.error), False))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(address)
        return page

    def note(text: str, well: bool) -> None:
        if not well:
            problems.append(text)

    yield call
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    path.write_bytes(photo(120, 160))
    return path


def tab_to(page: Any, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard")


def drop(page: Any, *paths: Path) -> None:
    page.set_input_files("#files", paths)
    for path in paths:
        page.get_by_role("listitem").filter(has_text=path.name).wait_for()


def restore(page: Any) -> None:
    page.get_by_role("button", name="Restore", exact=True).click()


def result_of_the_command_line(source: Path, chain: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    output = source.parent / "by command"
    arguments = ["restore", str(source), "-o", str(output), "-c", str(chain), "--device", "cpu", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["restorechain", *arguments])
    with pytest.raises(SystemExit):
        main()
    return hashlib.sha256((output / source.name).read_bytes()).hexdigest()


def hash_of(download: Any) -> str:
    return hashlib.sha256(Path(download.path()).read_bytes()).hexdigest()


def test_by_the_keyboard_alone(open_page: Open, sent: Path, chain_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    tab_to(page, "#files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(sent)
    page.get_by_role("listitem").filter(has_text=re.compile("160 . 120")).wait_for()
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")  # the file chooser takes the focus along
    tab_to(page, "#restore")
    page.keyboard.press("Enter")
    page.locator(".result").wait_for()
    tab_to(page, ".result .compare input")
    before = page.evaluate("document.querySelector('.compare').style.getPropertyValue('--cut')")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    slider = page.locator(".compare input")
    assert (before, slider.input_value()) == ("50%", "70")
    assert slider.get_attribute("aria-valuetext") == "70 % of the width shows the input"
    tab_to(page, ".views input")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".after figcaption").inner_text() == "after unsharp_mask"
    page.evaluate("document.activeElement.blur()")
    tab_to(page, ".result a[download]")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == sent.name
    assert hash_of(download.value) == result_of_the_command_line(sent, chain_file, monkeypatch)


def test_a_clip(open_page: Open, write_video: VideoWriter, chain_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_video("clip.mp4", times=range(0, 50 * 512, 512), size=(96, 64))  # 2 seconds
    page = open_page()
    drop(page, clip)
    restore(page)
    page.locator(".result video").wait_for()
    wait_for(lambda: page.evaluate("document.querySelector('video').readyState") >= 1)
    seen = page.evaluate("(({duration, videoWidth}) => [duration, videoWidth])(document.querySelector('video'))")
    assert seen == [pytest.approx(2, abs=0.05), 192]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert hash_of(download.value) == result_of_the_command_line(clip, chain_file, monkeypatch)


def test_cancelling_frees_the_engine(open_page: Open, page: WebPage, sent: Path, endless: threading.Event) -> None:
    seen = open_page()
    drop(seen, sent)
    restore(seen)
    assert endless.wait(60)
    seen.get_by_text("Working: 50 %").wait_for()
    seen.get_by_role("button", name="Cancel").click()
    (job,) = sessions(page)[0].all_jobs()
    wait_for(lambda: page.queue._running is None, seconds=2)
    assert job.state == "cancelled"
    seen.get_by_role("listitem").filter(has_text="Cancelled.").wait_for()


def test_loading_again_finds_the_job_and_closing_frees_the_engine(
    open_page: Open, page: WebPage, sent: Path, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = open_page()
    drop(seen, sent)
    restore(seen)
    assert endless.wait(60)
    seen.reload()
    seen.get_by_text("Working: 50 %").wait_for()
    session = next(one for one in sessions(page) if one.uploads)
    (job,) = session.all_jobs()
    assert job.state == "running"
    monkeypatch.setattr(pipeline.web.sessions, "GRACE", 0.2)
    seen.close()
    wait_for(lambda: page.queue._running is None, seconds=5)
    assert job.state == "cancelled"
    wait_for(lambda: not session.folder.exists())


def test_two_visitors_see_their_own_files_only(open_page: Open, page: WebPage, sent: Path, tmp_path: Path) -> None:
    asked: dict[str, list[str]] = {}
    pages = {}
    for name in ("ann", "bob"):
        path = tmp_path / f"{name}.png"
        path.write_bytes(photo(seed=len(name)))
        pages[name] = open_page()
        asked[name] = urls = []
        pages[name].context.on("request", lambda request, urls=urls: urls.append(request.url))
        drop(pages[name], path)
    for seen in pages.values():
        restore(seen)
    for name, seen in pages.items():
        seen.locator(".result").wait_for()
        assert seen.get_by_role("listitem").count() == 1
        with seen.expect_download():
            seen.get_by_role("link", name="Download", exact=True).click()
        asked[name] += [f"{seen.url}jobs/{job.key}/{what}" for one in sessions(page) for job in one.all_jobs()
                        if job.source.name == f"{name}.png" for what in ("file", "play", "result")]  # fmt: skip
    for name, other in (("ann", "bob"), ("bob", "ann")):
        private = {url for url in asked[name] if "/jobs/" in url or "/uploads/" in url}
        assert len(private) > 8
        for url in private:
            assert pages[other].context.request.get(url).status in (404, 405)
        assert pages[other].context.request.get(f"{pages[other].url}session/results.zip").body().count(b"PK") < 6


def test_a_click_previews_the_part(open_page: Open, sent: Path) -> None:
    page = open_page()
    drop(page, sent)
    page.locator("#uploads .thumbnail img").click(position={"x": 10, "y": 10})
    page.get_by_role("heading", name="a part").wait_for()
    page.get_by_role("listitem").filter(has_text="Done.").wait_for()


def test_settings_are_kept_and_can_be_copied(open_page: Open, sent: Path) -> None:
    page = open_page()
    page.get_by_text("Strength of each step").click()
    assert page.get_by_label("Unsharp mask").get_attribute("aria-valuetext") == "100 %"
    page.get_by_label("Unsharp mask").fill("0.25")
    page.get_by_label("Make it larger").uncheck()
    page.get_by_label("Save photos as").select_option("WebP")
    page.reload()
    drop(page, sent)
    restore(page)
    page.get_by_text("Repeat this in a terminal").click()
    assert page.get_by_label("Chain as YAML").inner_text().count("strength: 0.25") == 1
    assert "bicubic" not in page.get_by_label("Chain as YAML").inner_text()
    assert page.get_by_label("Command").inner_text().endswith("-c chain.yaml --ext webp")


def test_strengths_by_what_was_measured(open_page: Open, page: WebPage, sent: Path) -> None:
    seen = open_page()
    seen.get_by_text("Strength of each step").click()
    seen.get_by_label("By what was measured").check()
    assert seen.get_by_label("Unsharp mask").is_disabled()
    seen.reload()
    drop(seen, sent)
    restore(seen)
    seen.get_by_text("the strengths chosen by it").wait_for()
    (job,) = next(one for one in sessions(page) if one.uploads).all_jobs()
    assert job.settings.strengths["unsharp_mask"] == "auto"


def test_refusals_are_shown_in_words(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    wrong = tmp_path / "<img src=x onerror=alert(1)>.png"
    wrong.write_text("no image")
    drop(page, wrong)
    page.get_by_text("Cannot be restored: is not an image of a known format").wait_for()
    assert page.get_by_role("button", name="Restore", exact=True).is_disabled()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("listitem").wait_for(state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_is_accessible(open_page: Open, sent: Path, tmp_path: Path, size: str, scheme: str) -> None:
    page = open_page(size, scheme)
    assert violations(page) == []
    wrong = tmp_path / ("x" * 120 + ".png")
    wrong.write_text("no image")
    drop(page, sent, wrong)
    restore(page)
    page.locator(".result").wait_for()
    page.evaluate("for (const part of document.querySelectorAll('details:not([hidden])')) part.open = true")
    page.locator("#restore").focus()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]


def violations(page: Any) -> list[str]:
    """Return what axe-core finds, of any impact."""
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['impact']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found]
