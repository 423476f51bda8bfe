"""Three nodes on one machine and an S3 server: workers, nodes and the command are killed, nothing is lost or doubled.

Minutes long; run by ``pytest -m slow -s tests/pipeline/cluster/test_three_nodes.py``, which prints what it saw.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.cluster.ray_session import import_ray
from stages.atomic import partial_folder
from tests.pipeline.conftest import VideoWriter

psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[3]
IMAGES, FRAMES = 60, 1150  # five segments of 250 frames
CHAIN = "stages:\n  - {stage: unsharp_mask}\n  - {stage: bicubic, scale: 2}\n"


class ThreeNodes:
    """A Ray cluster of a head and two nodes of one processor each, with what kills parts of it."""

    def __init__(self) -> None:
        import_ray()
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        began = time.monotonic()
        self.cluster = Cluster(initialize_head=True, head_node_args=options)
        self.nodes = [self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
        self.cluster.wait_for_nodes()
        print(f"\nthree nodes started in {time.monotonic() - began:.0f} s")

    def kill_worker(self) -> None:
        below = psutil.Process().children(recursive=True)
        next(process for process in below if process.name().startswith("ray::RestoreWo")).kill()

    def kill_node(self) -> None:
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def add_node(self) -> None:
        self.nodes.append(self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
        self.cluster.wait_for_nodes()

    def count_workers(self) -> int:
        below = psutil.Process().children(recursive=True)
        return sum(process.name().startswith("ray::RestoreWo") for process in below)


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    pytest.importorskip("ray")
    running = ThreeNodes()
    yield running
    running.cluster.shutdown()


@pytest.fixture
def folder(tmp_path: Path, write_video: VideoWriter) -> Path:
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "in").mkdir()
    for seed in range(IMAGES):
        pixels = np.random.default_rng(seed).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"in/{seed:02}.png"), pixels)
    write_video("in/clip.mp4", times=tuple(range(0, FRAMES * 512, 512)), audio=1)
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments, "-c", "chain.yaml", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe)


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    running = start(folder, *arguments)
    out, err = running.communicate(timeout=900)
    assert running.returncode == code, err
    return out.strip().splitlines()[-1]


def wait_until(reached: Callable[[], bool], running: subprocess.Popen[str] | None = None) -> None:
    while not reached():
        assert running is None or running.poll() is None, running.communicate()
        time.sleep(0.05)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".mp4")}


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_whatever_is_killed_every_result_is_whole_and_recorded_once(nodes: ThreeNodes, folder: Path) -> None:
    print("one process:", run(folder, "in", "-o", "alone"))
    expected = results(folder / "alone")
    assert len(expected) == IMAGES + 1
    address = nodes.cluster.address
    for name, kill in (("nothing", None), ("a worker", nodes.kill_worker), ("a node", nodes.kill_node)):
        output = folder / name.replace(" ", "_")
        running = start(folder, "in", "-o", output.name, "--cluster", address)
        wait_until(lambda log=output / "restoration.jsonl": len(lines(log)) >= 10, running)
        if kill is not None:
            kill()
        out, err = running.communicate(timeout=900)
        print(f"{name} killed:", out.strip().splitlines()[-1], err.strip())
        assert running.returncode == 0, err
        assert results(output) == expected
        assert Counter(line["input"] for line in lines(output / "restoration.jsonl")).most_common(1)[0][1] == 1
        assert not hidden(output)
    nodes.add_node()


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGINT"])
def test_the_command_is_stopped_in_the_middle_of_a_video(nodes: ThreeNodes, folder: Path, signal_name: str) -> None:
    run(folder, "in", "-o", "alone")
    output = folder / "out"
    segments = partial_folder(output / "clip.mp4")
    running = start(folder, "in", "-o", "out", "--cluster", nodes.cluster.address)
    wait_until(lambda: len(list(segments.glob("0*.json"))) >= 2, running)
    running.send_signal(signal.Signals[signal_name])
    _, err = running.communicate(timeout=120)
    assert running.returncode == (-signal.SIGKILL if signal_name == "SIGKILL" else 130)
    began = time.monotonic()
    wait_until(lambda: nodes.count_workers() == 0)
    before, kept = lines(output / "restoration.jsonl"), len(list(segments.glob("0*.json")))
    print(
        f"{signal_name}: workers ended {time.monotonic() - began:.1f} s later;",
        f"{len(before)} finished, {err.strip()}",
    )
    print("again:", run(folder, "in", "-o", "out", "--cluster", nodes.cluster.address))
    after = lines(output / "restoration.jsonl")[len(before) :]
    assert Counter(line["status"] for line in after) == {"skipped": len(before), "done": IMAGES + 1 - len(before)}
    video = next(line for line in after if line["input"].endswith(".mp4"))
    assert any("resumed an interrupted run" in note for note in video["notes"]), kept
    assert results(output) == results(folder / "alone")


def test_the_command_is_killed_between_objects(
    nodes: ThreeNodes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3fs, moto = pytest.importorskip("s3fs"), pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    (folder / "in/clip.mp4").unlink()
    run(folder, "in", "-o", "alone")
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    names = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    storage = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    storage.mkdir("photos")
    storage.put(f"{folder}/in/", "photos/in/", recursive=True)
    command = ("s3://photos/in", "-o", "s3://photos/out", "--workers", "2")
    running = start(folder, *command)
    wait_until(lambda: len(storage.glob("photos/out/*.png")) >= 10, running)
    running.kill()
    running.wait()
    there = {path: storage.info(path)["LastModified"] for path in storage.glob("photos/out/*.png")}
    print(f"killed after {len(there)} objects; again:", run(folder, *command))
    found = storage.glob("photos/out/*.png")
    assert {path.rpartition("/")[2]: storage.cat_file(path) for path in found} == results(folder / "alone")
    assert {path: storage.info(path)["LastModified"] for path in there} == there
    server.stop()
