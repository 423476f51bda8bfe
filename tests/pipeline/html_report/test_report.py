"""The report holds every input and all it shows, runs nothing that came with a file name, and stays bounded."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import pipeline.html_report.report
from pipeline.batch.batch import Batch
from pipeline.batch.image_jobs import ImageJobs
from pipeline.batch.job_steps import JobSteps
from pipeline.batch.plan import plan
from pipeline.batch.run_log import RunLog
from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.chain.costs import chain_costs
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError
from pipeline.evaluation.comparison import ReferenceComparison
from pipeline.html_report import HtmlReport
from pipeline.html_report.previews import DETAIL, ERROR_SPAN, LONGEST, draw, error_levels, most_changed
from pipeline.html_report.summary import WorkCounter, after_lines, without_lines
from pipeline.images import ImageFile, read_image
from pipeline.images.metadata import Metadata
from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.profile import total
from stages.unsharp_mask import UnsharpMaskConfig

TWICE = ChainConfig(stages=(UnsharpMaskConfig(amount=0.3), EDSRConfig(width=2, depth=1)))
HOSTILE = '<script>alert("1")<\\script> & \' \u202e.png'


class Document(HTMLParser):
    """The content of an HTML file: its elements with their attributes, and its text outside of style and script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def paint(path: Path, height: int = 16, width: int = 24, *, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def restore(
    folder: Path,
    *,
    compared: bool = True,
    planned: int | None = None,
    engine: Any = None,
    config: ChainConfig = TWICE,
) -> Document:
    """Restore ``folder/in`` to ``folder/out``, with the report ``folder/report.html``."""
    log_path, output = folder / "out/restoration.jsonl", folder / "out"
    run_log, report = RunLog(log_path), HtmlReport(folder / "report.html", config, output, log_path)
    comparison = ReferenceComparison(folder / "clean") if compared else None
    make_engine = engine or (lambda: Engine(Chain.build(config), device="cpu"))
    jobs = plan([str(folder / "in")], output)
    kinds = {"image": ImageJobs((), comparison, lambda: report.has_room)}
    Batch(JobSteps(config, output, make_engine, kinds), run_log, listener=report).run(jobs, lambda record: None)
    run_log.close()
    report.write(planned=planned or len(jobs), seconds=1.5, waiting=0.25)
    report.close()
    return Document(folder / "report.html")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images with references, one of a hostile name without, a broken one and a text."""
    folder = tmp_path_factory.mktemp("run")
    for seed, name in enumerate(("a.png", "deep/b.jpg")):
        paint(folder / "in" / name, seed=seed)
        paint(folder / "clean" / name, 32, 48, seed=seed + 100)
    paint(folder / "in" / HOSTILE)
    (folder / "in/broken.png").write_bytes(b"no image")
    (folder / "in/notes.txt").write_text("no image")
    restore(folder)
    return folder


@pytest.fixture(scope="module")
def document(folder: Path) -> Document:
    return Document(folder / "report.html")


def test_nothing_is_loaded_from_elsewhere(folder: Path, document: Document) -> None:
    assert all(image["src"].startswith("data:image/webp;base64,") for image in document.all("img"))
    assert all(link["href"].startswith("#") for link in document.all("a"))
    assert not {"link", "iframe", "object", "embed", "base", "video", "source"} & {tag for tag, _ in document.elements}
    assert not [script for script in document.all("script") if script]
    html = (folder / "report.html").read_text()
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_images_are_complete_webp_files(document: Document) -> None:
    for image in document.all("img"):
        content = base64.b64decode(image["src"].partition(",")[2], validate=True)
        assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None


def test_every_input_appears_with_its_status(document: Document) -> None:
    for name in ("a.png", "deep/b.jpg", HOSTILE, "broken.png", "notes.txt"):
        assert f"in/{name}" in document.text
    assert "is not an image of a known format" in document.text
    assert "no reference, expected" in document.text


def test_every_stage_is_a_view_and_has_its_scores_time_and_work(document: Document) -> None:
    names = {radio["data-name"] for radio in document.all("input") if radio["type"] == "radio"}
    assert names == {"after unsharp_mask", "after edsr", "reference", "error of the input", "error of the result"}
    assert "without unsharp_mask" in document.text
    assert re.search(r"unsharp_mask\s+\d+\.\d\d s\s", document.text)
    assert re.search(r"edsr\s+\d+\.\d\d GMACs", document.text)


def test_the_kernel_of_a_blur_is_drawn(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    chain = ChainConfig(stages=(BlindDeconvolutionConfig(motion=5.0), BlindDeconvolutionConfig()))
    document = restore(tmp_path, compared=False, config=chain)
    assert [image["src"][:15] for image in document.all("img") if image["alt"] == "blur kernel"] == ["data:image/png;"]
    assert "blind_deconvolution: given" in document.text
    assert "blind_deconvolution_2: too small" in document.text


def test_the_share_of_waiting_is_shown(document: Document) -> None:
    assert re.search(r"waited for files\s*25 %", document.text)


def test_the_scale_of_errors_and_the_reduction_of_previews_are_stated(document: Document) -> None:
    assert f"{ERROR_SPAN} or more of 255" in document.text
    assert f"reduced to {LONGEST} px" in document.text


def test_names_are_text_and_never_markup(document: Document) -> None:
    assert len(document.all("script")) == 1
    assert any(HOSTILE in image["alt"] for image in document.all("img"))


def test_only_the_reports_own_script_may_run(folder: Path, document: Document) -> None:
    policy = next(meta["content"] for meta in document.all("meta") if "http-equiv" in meta)
    script = re.search(r"<script>(.*)</script>", (folder / "report.html").read_text(), re.DOTALL)
    assert script is not None
    sha256 = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{sha256}'"


def test_images_and_sliders_are_described(document: Document) -> None:
    images = document.all("img")
    assert all("alt" in image for image in images)
    described = [image["alt"] for image in images if image["alt"]]  # the thumbnails' labels say the same
    assert len(described) == len(set(described))
    sliders = [slider for slider in document.all("input") if slider["type"] == "range"]
    assert len(sliders) == 3
    assert all(slider["aria-label"] for slider in sliders)
    assert ("html", {"lang": "en"}) in document.elements


def test_links_lead_to_sections(document: Document) -> None:
    assert [link["href"][1:] for link in document.all("a")] == [section["id"] for section in document.all("section")]


def test_nothing_but_the_report_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["clean", "in", "out", "report.html"]


def test_what_was_finished_before_is_shown_with_what_is_missing(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path, compared=False)
    document = restore(tmp_path, compared=False, engine=lambda: pytest.fail("nothing is to be computed"))
    names = [radio["data-name"] for radio in document.all("input") if radio["type"] == "radio"]
    assert names == ["after edsr"]
    assert "did not keep the outputs of its stages" in document.text
    assert re.search(r"24 . 16 → 48 . 32, \d+\.\d\d s on cpu in fp32", document.text)
    assert re.search(r"edsr\s+\d+\.\d\d s\s", document.text)


def test_what_the_run_let_through_is_shown_however_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "in/a.png")
    restore(tmp_path, compared=False)
    monkeypatch.setattr(
        pipeline.html_report.report, "read_image", lambda path, max_pixels=10: read_image(path, max_pixels)
    )
    assert "No images" not in restore(tmp_path, compared=False).text


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    paint(tmp_path / "in/a.png")
    assert "Interrupted after 1 of 7 inputs" in restore(tmp_path, compared=False, planned=7).text


def test_previews_end_at_a_limit_and_the_table_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.html_report.report, "SHOWN_IN_FULL", 2)
    for number in range(4):
        paint(tmp_path / f"in/{number}.png")
    document = restore(tmp_path, compared=False)
    assert len(document.all("section")) == 2
    assert "Images of the first 2 finished inputs" in document.text
    assert all(f"in/{number}.png" in document.text for number in range(4))


def test_previews_that_cannot_be_drawn_are_reported_and_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(pipeline.html_report.previews, "draw", broken)
    paint(tmp_path / "in/a.png")
    assert "No images: ZeroDivisionError: oops" in restore(tmp_path, compared=False).text
    assert (tmp_path / "out/a.png").exists()


def test_a_report_may_have_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 250}.html"
    HtmlReport(path, TWICE, tmp_path, tmp_path / "r.jsonl").write(planned=0, seconds=0.0, waiting=0.0)
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_a_folder_is_not_replaced_by_a_report(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"report: .* is a folder, expected a file"):
        HtmlReport(tmp_path, TWICE, tmp_path, tmp_path / "r.jsonl")


def test_the_detail_is_where_the_change_is() -> None:
    before = np.zeros((40, 60, 3), np.uint8)
    after = np.zeros((80, 120, 3), np.uint8)
    after[50:60, 90:100] = 255
    region = most_changed(before, after, 20)
    assert (region.rows.length, region.columns.length) == (10, 10)
    rows, columns = region.scaled(2).slices
    assert after[rows, columns].sum() == after.sum()


def test_errors_are_amplified_as_stated_and_sizes_fitted() -> None:
    reference = np.full((4, 6, 3), 100, np.uint8)
    for error, expected in ((0, 0), (ERROR_SPAN // 2, 128), (ERROR_SPAN, 255), (2 * ERROR_SPAN, 255)):
        assert (error_levels(np.full((2, 3), 100 + error, np.uint8), reference) == expected).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_previews_are_small_whatever_the_image(tmp_path: Path, dtype: type) -> None:
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    pixels = np.full((8, LONGEST + 100), top, dtype)
    alpha = np.zeros_like(pixels)
    wide = ImageFile(pixels, alpha, Metadata(icc=b"no profile"))
    views = draw(tmp_path, wide, {"mask": wide}, None)
    assert [view.name for view in views] == ["input", "after mask"]
    whole, thumbnail, detail = (
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (views[1].whole, views[1].thumbnail, views[1].detail)
    )
    assert whole.shape == (7, LONGEST, 3)
    assert thumbnail.shape == (1, 160, 3)
    assert detail.shape == (8, DETAIL, 3)
    assert np.abs(whole.astype(int) - 128).max() <= 2  # all of it is transparent: gray


def test_changes_and_gains_follow_from_the_scores() -> None:
    def scored(psnr: float) -> dict[str, float]:
        return {"psnr_rgb": psnr}

    psnrs = {"bicubic": 20.0, "after a": 23.0, "after b": 22.0, "without a": 18.0, "without b": 23.0}
    scores = {name: scored(psnr) for name, psnr in psnrs.items()}
    assert [line.change for line in after_lines(scores)] == [None, scored(3.0), scored(-1.0)]
    assert [line.change for line in without_lines(scores)] == [scored(4.0), scored(-1.0)]


def test_work_counts_at_each_stages_own_size() -> None:
    def chain(*strengths: float) -> ChainConfig:
        dncnn = DnCNNConfig(width=4, depth=3, strength=strengths[1])
        return ChainConfig(stages=(EDSRConfig(width=2, depth=1, strength=strengths[0]), dncnn))

    alone = WorkCounter(ChainConfig(stages=(DnCNNConfig(width=4, depth=3),))).gmacs(32, 16)["dncnn"]
    assert WorkCounter(chain(1, 1)).gmacs(16, 8)["dncnn"] == pytest.approx(alone)
    assert WorkCounter(chain(0, 1)).gmacs(16, 8)["edsr"] == 0


def test_work_is_that_of_the_profile_and_builds_each_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = EDSRConfig.build

    def counted(config: EDSRConfig) -> Any:
        built.append(config.stage)
        return build(config)

    monkeypatch.setattr(EDSRConfig, "build", counted)
    counter = WorkCounter(TWICE)
    work = {size: counter.gmacs(*size) for size in ((24, 16), (50, 33), (24, 16))}
    assert built == ["edsr"]
    for (width, height), gmacs in work.items():
        layers = chain_costs(TWICE, height, width)
        assert gmacs == {name: total(costs).macs / 1e9 for name, costs in layers.items()}
