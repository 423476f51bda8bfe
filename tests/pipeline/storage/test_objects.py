"""Objects are listed while they are used, put whole, never over what is not ours, and what refuses says so."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BrokenImage, ConfigError, OutOfSpace, RefusedImage
from pipeline.storage import objects
from pipeline.storage.objects import fetch, is_url, list_objects, note_on, put, version_of

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    filesystem.store.clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("s3://b/a", True), ("memory://a", True), ("a.png", False), ("C://a", False), ("s3:/b", False), ("s3://", False)],
)
def test_urls_differ_from_paths(text: str, expected: bool) -> None:
    assert is_url(text) is expected


def test_keys_are_listed_relative_to_their_prefix(memory: Any) -> None:
    for key in ("/in/b.png", "/in/deep/a.png", "/inner/c.png", "/in.png"):
        memory.pipe_file(key, b"x")
    assert sorted(list_objects("memory://in")) == ["b.png", "deep/a.png"]
    assert list(list_objects("memory://in/b.png")) == [""]
    assert list(list_objects("memory://none")) == []


def test_an_object_is_put_with_its_note_and_fetched(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"pixels")
    assert note_on("memory://out/a.png") is None
    put(tmp_path / "a", "memory://out/a.png", {"input": "1"}, replaces=False)
    assert note_on("memory://out/a.png") == {"input": "1"}
    fetch("memory://out/a.png", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"pixels"


def test_only_what_is_to_be_replaced_is_replaced(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"pixels")
    memory.pipe_file("/out/a.png", b"theirs")
    assert note_on("memory://out/a.png") == {}
    with pytest.raises(RefusedImage, match=r"memory://out/a.png was created during this run"):
        put(tmp_path / "a", "memory://out/a.png", {"input": "1"}, replaces=False)
    assert memory.cat_file("/out/a.png") == b"theirs"
    put(tmp_path / "a", "memory://out/a.png", {"input": "1"}, replaces=True)
    assert memory.cat_file("/out/a.png") == b"pixels"


def test_a_version_changes_with_the_object(memory: Any) -> None:
    memory.pipe_file("/in/a.png", b"x")
    before = version_of("memory://in/a.png")
    assert version_of("memory://in/a.png") == before
    memory.pipe_file("/in/a.png", b"y")
    assert version_of("memory://in/a.png") != before


def with_code(error: OSError, code: str) -> OSError:
    """Return an error as s3fs raises it."""
    cause = Exception()
    cause.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (PermissionError("Access Denied"), BrokenImage, r"s3://b/a: the storage refuses access \(Access Denied\)"),
        (FileNotFoundError("NoSuchBucket"), BrokenImage, "s3://b/a: there is no such object, or no such bucket"),
        (FileExistsError("412"), RefusedImage, "s3://b/a was created during this run"),
        (with_code(OSError(errno.EINVAL, "x"), "PreconditionFailed"), RefusedImage, "was created during this run"),
        (OSError(errno.ENOSPC, "full"), OutOfSpace, "no space left in the storage of s3://b/a"),
        (with_code(OSError(errno.EIO, "x"), "XMinioStorageFull"), OutOfSpace, "no space left"),
        (OSError(errno.EBUSY, "Please reduce your request rate."), BrokenImage, "reduce your request rate"),
    ],
)
def test_what_a_storage_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: OSError, expected: type[Exception], says: str
) -> None:
    class Refusing:
        protocol = ("s3",)

        def get_file(self, *names: str) -> None:
            raise error

    monkeypatch.setattr(objects, "_connected", lambda url: (Refusing(), "b/a"))
    with pytest.raises(expected, match=says):
        fetch("s3://b/a", Path("a"))


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(ConfigError, match="nowhere://a: Protocol not known: nowhere"):
        list(list_objects("nowhere://a"))
