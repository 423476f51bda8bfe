"""Weights on this machine: downloaded once, verified always, and only with the user's agreement."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.catalogue.cache import cache_folder, fault_of, is_here, obtain, place_of, remove
from stages.catalogue.entry import Entry, read_entry, write_entry
from stages.errors import WeightsError
from tests.stages.catalogue.faulty_server import FaultyServer, cut, slow

CONTENT = bytes(range(256)) * 512


def make_entry(folder: Path, *urls: str, name: str = "net", **facts: Any) -> Path:
    known = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest(), "uses": "any", "licence": "MIT"}
    entry = Entry(**{"stage": "dncnn", "purpose": "denoise", "urls": list(urls), "origin": "Doe", **known, **facts})
    write_entry(folder / f"{name}.yaml", entry)
    return folder / f"{name}.yaml"


@pytest.fixture
def entry(tmp_path: Path, weights_cache: Path, weights_server: FaultyServer) -> Path:
    weights_server.files["net.pth"] = CONTENT
    return make_entry(tmp_path, f"{weights_server.url}/net.pth", caution="mind the edges")


def test_the_first_use_downloads_and_says_what_the_second_does_not(
    entry: Path, weights_cache: Path, weights_server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not is_here(entry, read_entry(entry))
    place = obtain(entry)
    assert is_here(entry, read_entry(entry))
    assert (place.parent, place.read_bytes()) == (weights_cache, CONTENT)
    assert capsys.readouterr().err == "downloading net: 0.1 MB; MIT; Doe\n  mind the edges\n"
    assert obtain(entry) == place
    assert capsys.readouterr().err == ""
    assert len(weights_server.requests) == 1


def test_a_caution_is_shown(
    tmp_path: Path, entry: Path, weights_server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    obtain(make_entry(tmp_path, f"{weights_server.url}/net.pth", name="odd", caution="mind the edges"))
    assert "mind the edges" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [CONTENT[:-1], bytes(len(CONTENT)), b""], ids=["short", "other", "empty"])
def test_a_damaged_file_in_the_cache_is_replaced(entry: Path, damage: bytes) -> None:
    place = obtain(entry)
    place.write_bytes(damage)
    assert fault_of(place, read_entry(entry)) is not None
    assert obtain(entry).read_bytes() == CONTENT


def test_a_damaged_file_is_not_used_offline(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    obtain(entry).write_bytes(bytes(len(CONTENT)))
    monkeypatch.setenv("RESTORECHAIN_OFFLINE", "1")
    with pytest.raises(WeightsError, match="downloads are off"):
        obtain(entry)


def test_new_bytes_under_an_old_name_are_new_files(tmp_path: Path, entry: Path, weights_server: FaultyServer) -> None:
    old = obtain(entry)
    weights_server.files["net.pth"] = new = CONTENT[::-1]
    make_entry(tmp_path, f"{weights_server.url}/net.pth", sha256=hashlib.sha256(new).hexdigest())
    assert obtain(entry).read_bytes() == new
    assert old.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_nothing_is_downloaded(
    entry: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "environment":
        monkeypatch.setenv("RESTORECHAIN_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"not in .*cache, and downloads are off .*weights download net"):
        obtain(entry, allow_download=False if how == "argument" else None)
    assert not weights_server.requests
    monkeypatch.delenv("RESTORECHAIN_OFFLINE", raising=False)
    place = obtain(entry)
    assert obtain(entry, allow_download=False) == place


@pytest.mark.parametrize("uses", ["restricted", "unclear"])
def test_a_licence_that_forbids_uses_has_to_be_accepted_by_name(
    tmp_path: Path, entry: Path, weights_server: FaultyServer, uses: str
) -> None:
    path = make_entry(tmp_path, f"{weights_server.url}/net.pth", name="closed", uses=uses, licence="research only")
    for accepted in ((), ("net",)):
        with pytest.raises(WeightsError, match=r"research only; Doe.*--accept-licence closed"):
            obtain(path, accepted=accepted)
    assert not weights_server.requests
    obtain(path, accepted=["closed"])
    obtain(path)


def test_without_a_sha256_nothing_is_downloaded(tmp_path: Path, entry: Path, weights_server: FaultyServer) -> None:
    path = make_entry(tmp_path, f"{weights_server.url}/net.pth", name="unknown", sha256=None)
    assert not is_here(path, read_entry(path))
    with pytest.raises(WeightsError, match=r"no SHA-256 .* restorechain weights add http\S+ --name unknown"):
        obtain(path)
    assert not weights_server.requests


def test_the_mirror_is_asked_first_by_the_name_in_the_cache(
    entry: Path, weights_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTORECHAIN_MIRROR", f"{weights_server.url}/mirror/")
    obtain(entry)
    name = place_of(entry, read_entry(entry)).name
    assert [path for path, _ in weights_server.requests] == [f"/mirror/{name}", "/net.pth"]
    weights_server.files[name] = CONTENT
    remove(entry)
    obtain(entry)
    assert [path for path, _ in weights_server.requests[2:]] == [f"/mirror/{name}"]


def test_a_file_beside_the_entry_is_used_where_it_lies(tmp_path: Path, weights_cache: Path) -> None:
    path = make_entry(tmp_path, "weights/net.pth")
    with pytest.raises(WeightsError, match=r"urls: no such file: .*weights/net\.pth"):
        obtain(path, allow_download=True)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/net.pth").write_bytes(CONTENT)
    assert obtain(path) == tmp_path / "weights/net.pth"
    assert remove(path) == []
    (tmp_path / "weights/net.pth").write_bytes(CONTENT[1:])
    with pytest.raises(WeightsError, match=r"net\.pth has 131,071 bytes, expected 131,072"):
        obtain(path)


def test_remove_deletes_what_was_downloaded(entry: Path, weights_cache: Path, weights_server: FaultyServer) -> None:
    place = obtain(entry)
    assert remove(entry) == [place]
    weights_server.faults = [cut(len(CONTENT) // 2), *[cut(0)] * 3]
    with pytest.raises(WeightsError):
        obtain(entry)
    assert [path.suffix for path in remove(entry)] == [".part"]
    assert [path.suffix for path in weights_cache.iterdir()] == [".lock"]
    assert entry.exists()


def test_runs_at_the_same_time_share_one_download(entry: Path, weights_server: FaultyServer) -> None:
    weights_server.faults = [slow(0.1)]
    script = f"from pathlib import Path; from stages.catalogue.cache import obtain; print(obtain(Path({str(entry)!r})))"
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert len(weights_server.requests) == 1
    assert {output for output, _ in outputs} == {f"{place_of(entry, read_entry(entry))}\n"}
    assert sorted(errors.split()[0] for _, errors in outputs if errors)[0] == "downloading"


def test_a_cache_that_cannot_be_written_is_a_clear_error(entry: Path, weights_cache: Path) -> None:
    weights_cache.write_text("a file in the place of the folder")
    with pytest.raises(WeightsError, match=r"cache: (File exists|Not a directory)"):
        obtain(entry)


def test_the_cache_is_the_user_s_unless_said_otherwise(weights_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == weights_cache
    monkeypatch.delenv("RESTORECHAIN_CACHE")
    assert cache_folder().parts[-2:] == ("restorechain", "weights")
