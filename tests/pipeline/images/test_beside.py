"""What stands beside the image in a file is named where it is not carried."""

import struct
from pathlib import Path

import cv2
import pytest
import tifffile

from pipeline.images import read_image
from pipeline.images.beside import CREDENTIALS
from tests.pipeline.images.samples import photo, png_chunk

C2PA_BOX = struct.pack(">I", 28) + b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"data"


def behind_riff_header(data: bytes, chunk: bytes) -> bytes:
    return data[:4] + struct.pack("<I", len(data) + len(chunk) - 8) + data[8:] + chunk


@pytest.mark.parametrize(
    ("suffix", "changed", "named"),
    [
        (".png", lambda data: data, ()),
        (".png", lambda data: data[:33] + png_chunk(b"caBX", b"claim") + data[33:], (CREDENTIALS,)),
        (
            ".png",
            lambda data: data + b"a video, or the rest of a cropped screenshot",
            ("data of 44 bytes after the image",),
        ),
        (".png", lambda data: data[:33] + png_chunk(b"npTc", bytes(32)) + data[33:], ("chunk npTc",)),
        (".png", lambda data: data[:33] + png_chunk(b"tIME", bytes(7)) + data[33:], ()),
        (".webp", lambda data: data, ()),
        (".webp", lambda data: behind_riff_header(data, b"XYZW\4\0\0\0abcd"), ("chunk XYZW",)),
        (".webp", lambda data: data + b"behind", ("data of 6 bytes after the image",)),
        (".webp", lambda data: behind_riff_header(data, b"C2PA\3\0\0\0abc\0"), (CREDENTIALS,)),
        (".avif", lambda data: data, ()),
        (".avif", lambda data: data + C2PA_BOX, (CREDENTIALS,)),
    ],
)
def test_what_is_not_carried_is_named(tmp_path: Path, suffix: str, changed: object, named: tuple[str, ...]) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(changed(cv2.imencode(suffix, photo(16, 16, 3))[1].tobytes()))  # type: ignore[operator]
    assert read_image(path).losses == tuple(f"the {what} in the file is not carried" for what in named)


def test_layers_of_photoshop_are_named(tmp_path: Path) -> None:
    layers = b"Adobe Photoshop Document Data Block\0"
    tags = [(37724, 7, len(layers), layers, True)]
    tifffile.imwrite(tmp_path / "a.tif", photo(8, 8, 3), photometric="rgb", extratags=tags)
    assert read_image(tmp_path / "a.tif").losses == ("the layer data of Photoshop in the file is not carried",)


@pytest.mark.parametrize("kind", [4, 5, 6])
@pytest.mark.parametrize("images", [1, 2])
def test_a_second_image_in_a_raw_pnm_is_named(tmp_path: Path, kind: int, images: int) -> None:
    head = b"P%d\n# a comment\n9 2\n" % kind + (b"" if kind == 4 else b"255\n")
    one = head + bytes({4: 4, 5: 18, 6: 54}[kind])
    (tmp_path / "a.pnm").write_bytes(one * images + b"\n")
    losses = read_image(tmp_path / "a.pnm").losses
    expected = f"the data of {len(one) + 1} bytes after the image in the file is not carried"
    assert losses == (() if images == 1 else (expected,))
