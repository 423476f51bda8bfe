"""What decodes to nothing but black or white is confirmed by a second decoder."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RefusedImage
from pipeline.images import ImageFile, read_image, write_image
from pipeline.images.second_decoder import confirm_uniform
from tests.pipeline.images.samples import photo


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_really_uniform_images_pass(tmp_path: Path, value: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, ImageFile(np.full((16, 16, 3), value, np.uint8)))
    assert read_image(path).notes == ()


def test_png_is_confirmed_by_its_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.images.reader.confirm_uniform", lambda *_: pytest.fail("decoded twice"))
    write_image(tmp_path / "a.png", ImageFile(np.zeros((16, 16, 3), np.uint8)))
    assert read_image(tmp_path / "a.png").notes == ()


@pytest.mark.parametrize("value", [0, 255])
def test_an_image_lost_in_decoding_is_refused(tmp_path: Path, value: int) -> None:
    write_image(tmp_path / "a.png", ImageFile(photo(16, 16, 3)))
    with pytest.raises(RefusedImage, match="a second decoder finds an image"):
        confirm_uniform(tmp_path / "a.png", np.full((16, 16, 3), value, np.uint8))


def test_what_no_second_decoder_reads_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    notes = confirm_uniform(tmp_path / "a.tif", np.zeros((16, 16, 3), np.uint8))
    assert notes == ("is black all over, which no second decoder could confirm",)
