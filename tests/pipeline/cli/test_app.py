"""The command line: exit codes, readable errors, and help that answers at once."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.batch.settings import RestoreSettings
from run_pipeline import app, main
from stages.dncnn import DnCNNConfig
from stages.extras import install_hint
from stages.weights import Card, save_weights

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in a folder with a chain, a folder of two photos and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    for seed, name in enumerate(("a.png", "b.jpg")):
        Path("photos").mkdir(exist_ok=True)
        cv2.imwrite(f"photos/{name}", np.random.default_rng(seed).integers(0, 255, (16, 24, 3), np.uint8))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return call


RESTORE = ("photos", "-o", "restored", "-c", "chain.yaml", "--device", "cpu")


def test_all_done_then_all_skipped(run: Run) -> None:
    code, out, err = run(*RESTORE)
    assert (code, err) == (0, "")
    assert re.match(r"2 inputs: 2 done in \d+\.\d s \(\d+\.\d\d MP/s, \d+% waiting for files\)\n$", out)
    assert sorted(path.name for path in Path("restored").iterdir()) == ["a.png", "b.jpg", "restoration.jsonl"]
    code, out, _ = run(*RESTORE)
    assert code == 0
    assert out.startswith("2 inputs: 2 skipped in ")


def test_quiet_says_nothing(run: Run) -> None:
    assert run(*RESTORE, "--quiet") == (0, "", "")


def test_failures_are_listed_at_the_end(run: Run) -> None:
    Path("photos/c.png").write_bytes(b"")
    code, out, err = run(*RESTORE)
    assert code == 1
    assert err.startswith("failed: photos/c.png: ")
    assert out.startswith("3 inputs: 2 done, 1 failed in ")


def test_ignored_files_and_losses_are_reported(run: Run) -> None:
    for name in ("c.CR2", "notes.txt"):
        (Path("photos") / name).touch()
    deep = np.random.default_rng(0).integers(0, 65535, (16, 24, 3), np.uint16)
    for name in ("d.png", "e.png"):
        cv2.imwrite(f"photos/{name}", deep)
    code, out, err = run(*RESTORE, "--ext", "jpg")
    assert code == 0
    lost = "warning: photos/d.png and 1 more: 16 bit reduced to 8 bit, the most JPEG holds\n"
    assert (err, out[:9]) == (lost, "6 inputs:")
    assert " 4 done, 2 ignored (.cr2, .txt) in " in out


def test_losses_are_shown_when_quiet_and_fail_when_strict(run: Run) -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (16, 24, 3), np.uint16)
    cv2.imwrite("photos/d.png", deep)
    code, out, err = run(*RESTORE, "--ext", "jpg", "--quiet")
    assert (code, out) == (0, "")
    assert err == "warning: photos/d.png: 16 bit reduced to 8 bit, the most JPEG holds\n"
    code, _, err = run(*RESTORE, "--ext", "jpg", "--strict", "--overwrite")
    assert code == 1
    assert err.startswith("failed: photos/d.png: 16 bit reduced to 8 bit, the most JPEG holds; the option strict")


def test_larger_images_than_allowed_are_refused(run: Run) -> None:
    code, _, err = run(*RESTORE, "--max-pixels", "10")
    assert code == 1
    assert "allow more (max_pixels: " in err


def test_two_runs_do_not_write_to_the_same_folder(run: Run) -> None:
    from pipeline.batch.output import reserved

    with reserved(Path("restored")):
        code, _, err = run(*RESTORE)
        assert (code, err[:46]) == (2, "--output: another run is writing to restored; ")
    assert run(*RESTORE)[0] == 0
    assert sorted(path.name for path in Path("restored").iterdir()) == ["a.png", "b.jpg", "restoration.jsonl"]


def test_a_disk_error_is_reported_without_its_number(run: Run) -> None:
    Path("photos/file").touch()
    assert run("photos", "-o", "photos/file/out", "-c", "chain.yaml")[2] == "photos/file/out: Not a directory\n"


def test_names_that_look_like_markup_are_printed_verbatim(run: Run) -> None:
    Path("photos/[red]c.png").write_bytes(b"")
    assert run(*RESTORE)[2].startswith("failed: photos/[red]c.png: ")


def test_another_report_file(run: Run) -> None:
    assert run(*RESTORE, "--report", "logs/report.jsonl")[0] == 0
    assert len(Path("logs/report.jsonl").read_text().splitlines()) == 2
    assert not Path("restored/restoration.jsonl").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such device")
def test_a_device_as_report_is_not_read(run: Run) -> None:
    assert run(*RESTORE, "--report", "/dev/zero")[0::2] == (
        2,
        "--report: /dev/zero is no file, expected a place for one\n",
    )


def test_a_page_is_written_besides_the_lines(run: Run) -> None:
    assert run(*RESTORE, "--report", "pages/run.HTML", "--quiet") == (0, "", "")
    assert Path("pages/run.HTML").read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in Path("pages").iterdir()] == ["run.HTML"]
    assert len(Path("restored/restoration.jsonl").read_text().splitlines()) == 2
    assert run(*RESTORE, "--report", "page.html", "--report", "lines")[0] == 1  # other lines know of no results
    assert "refused" in Path("page.html").read_text()
    assert len(Path("lines").read_text().splitlines()) == 2


def test_a_report_that_cannot_be_written_costs_no_results(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    assert run(*RESTORE, "--report", "file/page.html")[0::2] == (1, "file/.page.html.partial: Not a directory\n")
    assert not Path("restored/a.png").exists()

    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipeline.html_report.HtmlReport.write", full)
    code, out, err = run(*RESTORE, "--report", "page.html")
    assert (code, err) == (
        1,
        "the results were kept, but their scores or report could not be written: No space left on device\n",
    )
    assert out.startswith("2 inputs: 2 done in ")


def test_comparisons_with_references_are_a_table_and_a_csv(run: Run) -> None:
    shutil.copytree("photos", "clean")
    code, out, err = run(*RESTORE, "--reference", "clean")
    assert (code, err) == (0, "")
    assert re.search(r"photos/a.png +│ bicubic +│ +100.00 │ +100.00 │ +1.0000 ", out)
    assert re.search(r"mean +│ bicubic ", out)
    metrics = Path("restored/metrics.csv").read_text()
    assert metrics.splitlines()[-1].startswith("mean,without unsharp_mask,")
    assert "2 skipped" in run(*RESTORE, "--reference", "clean")[1]
    assert Path("restored/metrics.csv").read_text() == metrics
    assert run(*RESTORE, "--reference", "clean", "--quiet") == (0, "", "")


def test_what_cannot_be_compared_is_restored_and_reported(run: Run) -> None:
    shutil.copytree("photos", "clean")
    Path("clean/b.jpg").unlink()
    code, out, err = run(*RESTORE, "--reference", "clean")
    assert (code, err) == (
        1,
        "not compared: photos/b.jpg: no reference, expected clean/b.* of a type that can be read\n",
    )
    assert " 2 done " in out
    assert "b.jpg" not in Path("restored/metrics.csv").read_text()


def test_strength_overwrite_names_and_stages(run: Run) -> None:
    options = ("--strength", "unsharp_mask=0.5", "--ext", "png", "--suffix", "_soft", "--save-stages")
    assert run(*RESTORE, *options)[0] == 0
    written = {path.relative_to("restored").as_posix() for path in Path("restored").rglob("*.png")}
    assert written == {
        "a_soft.png",
        "a_soft.png.stages/1_unsharp_mask.png",
        "b_soft.png",
        "b_soft.png.stages/1_unsharp_mask.png",
    }
    assert " 2 done " in run(*RESTORE, *options, "--overwrite")[1]


def test_check_shows_the_stages(run: Run) -> None:
    code, out, err = run("check", "chain.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "unsharp_mask  scale 1, halo 3 px, sizes in multiples of 1, strength 1, 0.00 M parameters",
        "chain.yaml: scale 1, halo 3 px, sizes in multiples of 1",
    ]
    assert "strength 0.5" in run("check", "chain.yaml", "--strength", "unsharp_mask=0.5")[1]


def test_profile_counts_the_chain(run: Run) -> None:
    code, out, err = run("profile", "--size", "64x48", "chain.yaml", "-o", "counted")
    assert (code, err) == (0, "")
    assert re.search(r"unsharp_mask +│ 1 layers +│ +0 │", out)
    assert Path("counted/chain.profile.png").exists()


def test_attention_looks_into_a_stage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.inspection.inspector.rendered", lambda figure: np.zeros((4, 4, 3), np.uint8))
    config = DnCNNConfig(depth=3, width=4, batch_norm=False)
    card = Card(config={"stage": "dncnn", **config.architecture()})
    save_weights(Path("small.safetensors"), config.build(), card)
    Path("learned.yaml").write_text("stages:\n  - {stage: dncnn, weights: small.safetensors}\n")
    Path("photos/c.png").write_bytes(b"")
    code, out, err = run("attention", "dncnn:all", "photos", "-o", "seen", "-c", "learned.yaml", "--device", "cpu")
    assert (code, err) == (1, "failed: photos/c.png: is empty\n")
    assert out.splitlines()[0] == "photos/a.png: 3 levels of dncnn: seen/a.png.attention/dncnn.png"
    assert [path.name for path in sorted(Path("seen").iterdir())] == ["a.png.attention", "b.jpg.attention"]


def test_check_reports_the_errors_of_all_chains(run: Run) -> None:
    Path("bad.yaml").write_text("stages:\n  - stage: unsharp_mask\n    amont: 1\n    sigma: x\n")
    code, _, err = run("check", "bad.yaml", "no.yaml")
    assert code == 2
    assert [line.split(": ")[0] for line in err.splitlines()] == ["bad.yaml:3", "bad.yaml:4", "no.yaml"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("photos",), "Missing option '-o' / '--output'; see `run_pipeline.py restore --help`"),
        (("-o", "out"), "Missing argument 'INPUT...'"),
        (("no", "-o", "out", "-c", "chain.yaml"), "no: no such file, and nothing matches it"),
        (("photos", "-o", "out", "-c", "no.yaml"), "no.yaml: no such file"),
        ((*RESTORE, "--tile", "big"), "--tile: got 'big', expected a number of pixels, 0 for none, or auto"),
        ((*RESTORE, "--strength", "half"), "--strength: got 'half', expected STAGE=NUMBER"),
        ((*RESTORE, "--strength", "dncnn=0.5"), "--strength: the chain has no stage 'dncnn'"),
        ((*RESTORE, "--device", "toaster"), "toaster"),
        ((*RESTORE, "--precision", "fp8"), "fp8"),
        ((*RESTORE, "--report", "photos"), "--report: photos is a folder, expected a file"),
        ((*RESTORE, "--report", "a.html", "--report", "b.htm"), "--report: got a.html and b.htm, expected at most one"),
        ((*RESTORE, "--reference", "no"), "--reference: got no, which is not a folder, expected one with the tree"),
        (("profile", "--size", "64", "chain.yaml"), "--size: got the size '64', expected WIDTHxHEIGHT"),
        (("attention", "unet", *RESTORE), "the chain has no stage 'unet'"),
        ((*RESTORE, "--codec", "ffv1"), "--codec: is for videos, and no input is a video; leave it out"),
        ((*RESTORE, "--flicker"), "--flicker: is for videos"),
        (("check", "chain.yaml", "--tile", "0"), "No such option: --tile"),
        ((*RESTORE, "--ext", "exe"), "--ext: got 'exe', expected one of"),
        ((*RESTORE, "--ext", "mkv"), "webp; the type of videos is the container"),
        ((*RESTORE, "--nonsense"), "--nonsense"),
        ((*RESTORE, "--workers", "0"), "--workers: got '0', expected a number of processes, or auto"),
        ((*RESTORE, "--shard", "3"), "--shard: got '3', expected NUMBER/COUNT such as 3/16"),
        ((*RESTORE, "--progress", "detail"), "--progress: detail shows what each worker is doing, expected also"),
        ((*RESTORE, "--cluster", "here"), "--cluster: got 'here', expected HOST:PORT"),
        ((*RESTORE, "--cluster", "127.0.0.1:1"), "--cluster: 127.0.0.1:1 cannot be joined"),
    ],
)
def test_wrong_use_exits_with_2_before_any_work(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert expected in err
    assert not Path("out").exists()
    assert not Path("restored").exists()


def test_workers_without_their_extra_say_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = run(*RESTORE, "--workers", "2")
    assert (code, err) == (2, f"--workers: ray is missing; {install_hint('cluster')}\n")
    assert not Path("restored").exists()


class Interrupted:
    """An engine in whose second image the user presses Ctrl-C."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.chain, self.begun = engine, engine.chain, False

    def for_image(self, *measured: Any) -> "Interrupted":
        return self

    def run(self, pixels: Any, **options: Any) -> Any:
        if self.begun:
            raise KeyboardInterrupt
        self.begun = True
        return self.engine.run(pixels, **options)


def test_an_interruption_keeps_what_is_finished(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_engine = RestoreSettings.make_engine
    monkeypatch.setattr(RestoreSettings, "make_engine", lambda settings: Interrupted(make_engine(settings)))
    code, _, err = run(*RESTORE)
    assert code == 130
    assert err == "interrupted after 1 of 2 inputs; the same command goes on with the others\n"


def test_an_unexpected_error_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*options: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(RestoreSettings, "make_engine", broken)
    code, _, err = run(*RESTORE)
    assert (code, err) == (1, "internal error, please report it: ZeroDivisionError: oops\n")


def test_help_needs_no_heavy_import() -> None:
    """What costs seconds is imported when it is needed, so that ``--help`` answers at once."""
    heavy = "{'torch', 'pyvips', 'cv2', 'numpy', 'pydantic', 'jinja2', 'ray', 'fsspec'}"
    code = (
        "import sys; import run_pipeline; from typer.testing import CliRunner\n"
        "result = CliRunner().invoke(run_pipeline.app, ['--help'])\n"
        f"print(result.exit_code, sorted({heavy} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "0 []"


def test_an_image_is_restored_with_few_imports(tmp_path: Path) -> None:
    """Half of the time to the first image is torch's import; little else may be added to it."""
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "chain.yaml").write_text("stages:\n  - stage: unsharp_mask\n")
    code = (
        "import sys; import torch; before = set(sys.modules)\n"
        "import run_pipeline; from typer.testing import CliRunner\n"
        "given = ['photo.png', '-o', 'restored', '-c', 'chain.yaml']\n"
        "result = CliRunner().invoke(run_pipeline.app, given)\n"
        "print(result.exit_code, *sys.modules.keys() - before)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    exit_code, *imported = ran.stdout.splitlines()[-1].split()
    packages = {name.partition(".")[0] for name in imported}
    assert exit_code == "0"
    assert "pyvips" in packages
    engines, optional = {"ncnn", "nncf", "openvino", "pnnx"}, {"gradio", "lightning", "ray", "spandrel", "torchvision"}
    assert not packages & (engines | optional | {"av", "jinja2", "matplotlib", "requests", "skimage"})
    assert not {"torch._dynamo", "torch._inductor", "pipeline.video.reader"} & set(imported)
    assert sum(name.startswith(("pipeline", "stages", "train")) for name in imported) < 178


def start(folder: Path, output: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "many", "-o", output, "-c", "chain.yaml"]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_lines(report: Path, lines: int) -> None:
    while not report.exists() or report.read_bytes().count(b"\n") < lines:
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGINT"])
def test_stopped_in_the_middle_and_run_again_gives_the_same_bytes(tmp_path: Path, signal_name: str) -> None:
    (tmp_path / "chain.yaml").write_text("stages:\n  - {stage: unsharp_mask, sigma: 5}\n")
    (tmp_path / "many").mkdir()
    for seed in range(20):
        pixels = np.random.default_rng(seed).integers(0, 255, (200, 300, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "many" / f"{seed}.png"), pixels)
    assert start(tmp_path, "whole").wait() == 0

    stopped = start(tmp_path, "stopped")
    wait_for_lines(tmp_path / "stopped/restoration.jsonl", 5)
    stopped.send_signal(signal.Signals[signal_name])
    _, messages = stopped.communicate()
    if signal_name == "SIGINT":
        assert stopped.returncode == 130
        assert re.match(r"interrupted after \d+ of 20 inputs; the same command goes on with the others\n$", messages)
    assert len(list((tmp_path / "stopped").glob("*.png"))) < 20

    assert start(tmp_path, "stopped").wait() == 0
    for path in (tmp_path / "whole").glob("*.png"):
        assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_a_command_may_be_left_out(run: Run) -> None:
    assert run(*RESTORE)[0] == 0
    assert run("restore", *RESTORE)[1].startswith("2 inputs: 2 skipped in ")


def test_doctor_says_what_auto_chooses(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert re.search(r"^auto\n  device: \w+.*\n  precision: fp\d\d.*\n  backend: \w+, ", out, re.MULTILINE)
    assert "  numpy " in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_commands_and_values(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def completed(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)} if shell == "bash" else {}
        variables = {"_RESTORECHAIN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **words}
        if shell == "fish":
            variables["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            app(prog_name="restorechain")
        return capsys.readouterr().out

    assert "doctor" in completed("restorechain do")
    assert "openvino" in completed("restorechain restore --backend o")
