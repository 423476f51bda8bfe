"""Images are written losslessly where the format allows it, and completely or not at all."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BrokenImage, RefusedImage
from pipeline.images import ImageFile, check_target, read_image, write_image
from tests.pipeline.images.samples import photo, saved

LOSSLESS = [".png", ".tif"]


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 11, 3), (7, 11), (1, 1)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_formats_return_what_was_written(
    tmp_path: Path, suffix: str, dtype: type, shape: tuple[int, ...], with_alpha: bool
) -> None:
    alpha = photo(*shape[:2], dtype=dtype) if with_alpha else None
    written = ImageFile(photo(*shape, dtype=dtype), alpha)
    assert write_image(tmp_path / f"a{suffix}", written) == ()
    read = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read.pixels, written.pixels, strict=True)
    assert (read.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(read.alpha, alpha, strict=True)


@pytest.mark.parametrize(("suffix", "bits"), [(".jpg", 8), (".webp", 8), (".avif", 12)])
def test_fewer_bits_are_rounded_to_with_a_note(tmp_path: Path, suffix: str, bits: int) -> None:
    image = ImageFile(np.full((16, 16, 3), 100 * 257 + 200, np.uint16))
    (note,) = write_image(tmp_path / f"a{suffix}", image)
    assert note.startswith(f"16 bit reduced to {bits} bit")
    pixels = read_image(tmp_path / f"a{suffix}").pixels
    assert abs(pixels.mean() * (257 if bits == 8 else 1) - 101 * 257) < 260


def test_alpha_and_jpeg(tmp_path: Path) -> None:
    pixels = photo(8, 8, 3)
    write_image(tmp_path / "a.jpg", ImageFile(pixels, np.full((8, 8), 255, np.uint8)))  # hides nothing
    with pytest.raises(RefusedImage, match=r"JPEG cannot hold, expected one of \.avif, \.png, .*\(ext: png\)"):
        write_image(tmp_path / "b.jpg", ImageFile(pixels, photo(8, 8)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(("suffix", "longest"), [(".jpg", 65_500), (".webp", 16_383), (".avif", 16_384)])
def test_size_limit_of_the_format_is_checked_beforehand(tmp_path: Path, suffix: str, longest: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(np.zeros((64, longest), np.uint8)))
    with pytest.raises(RefusedImage, match=rf"holds at most {longest} a side; write another format \(ext: png\)"):
        check_target(path, ImageFile(np.zeros((1, longest // 2 + 1), np.uint8)), scale=2)
    check_target(path.with_suffix(".png"), ImageFile(np.zeros((1, longest), np.uint8)), scale=4)


def test_unknown_suffix_lists_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(RefusedImage, match=r"'.bmp' cannot be written, expected one of .avif, "):
        write_image(tmp_path / "a.bmp", ImageFile(photo(4, 4)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(photo(4, 4)))
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        assert (tmp_path / f".a{suffix}.writing{suffix}").stat().st_size > 0
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BrokenImage, match="Input/output error"):
        write_image(path, ImageFile(photo(9, 9)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("bits", [10, 12])
def test_what_avif_holds_is_not_called_reduced(tmp_path: Path, bits: int) -> None:
    image = read_image(saved(tmp_path / "a.avif", photo(16, 16, 3, dtype=np.uint16), bitdepth=bits))
    assert write_image(tmp_path / "b.avif", image) == ()
    assert write_image(tmp_path / "b.jpg", image) == (f"{bits} bit reduced to 8 bit, the most JPEG holds",)
