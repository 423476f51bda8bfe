"""YUV -> RGB -> YUV is the identity, and the colours are those of libswscale."""

import itertools

import av
import numpy as np
import pytest
import torch

from pipeline.video.colour import MATRICES, YUV, Planes

DEPTHS = [8, 10, 12, 16]
SUBSAMPLINGS = {"420": (True, True), "422": (False, True), "444": (False, False)}


def noise(layout: YUV, height: int = 22, width: int = 34, frames: int = 2) -> Planes:
    """All numbers of the depth, most of them colours that RGB does not hold."""
    halved_height, halved_width = layout.halved
    small = (-(-height // 2) if halved_height else height, -(-width // 2) if halved_width else width)
    generator = np.random.default_rng(0)
    dtype = np.uint8 if layout.depth == 8 else np.uint16
    made = [
        generator.integers(0, 1 << layout.depth, (frames, *shape), dtype=dtype)
        for shape in ((height, width), small, small)
    ]
    return Planes(*(torch.from_numpy(plane if layout.depth == 8 else plane.view(np.int16)) for plane in made))


def unsigned(plane: torch.Tensor) -> torch.Tensor:
    return plane.int() & 0xFFFF if plane.dtype == torch.int16 else plane.int()


@pytest.mark.parametrize("halved", SUBSAMPLINGS.values(), ids=SUBSAMPLINGS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_every_value_is_restored_exactly(depth, halved):
    for matrix, full_range, size in itertools.product(MATRICES, (False, True), ((22, 34), (21, 33), (1, 1), (2, 3))):
        layout = YUV(depth, matrix, full_range, halved)
        planes = noise(layout, *size)
        image, excess = layout.to_rgb(planes)
        assert image.min() >= 0
        assert image.max() <= 1
        for actual, expected in zip(layout.from_rgb(image + excess), planes, strict=True):
            assert (actual.int() == unsigned(expected)).all()


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("matrix", "name"), [(1, "itu709"), (5, "itu601"), (9, "bt2020")])
def test_the_colours_are_those_of_libswscale(matrix, name, full_range):
    layout = YUV(8, matrix, full_range, (False, False))
    planes = noise(layout, frames=1)
    frame = av.VideoFrame.from_ndarray(torch.stack(planes)[:, 0].numpy(), format="yuv444p")
    expected = frame.reformat(
        format="gbrp16le",
        src_colorspace={"itu709": 1, "itu601": 5, "bt2020": 9}[name],
        src_color_range="JPEG" if full_range else "MPEG",
        dst_color_range="JPEG",
    ).to_ndarray()
    image, _ = layout.to_rgb(planes)
    actual = image[0].permute(1, 2, 0).numpy()
    assert np.abs(actual - expected / 65535).max() < 0.005


def test_gray_is_gray_whatever_the_matrix():
    for matrix in MATRICES:
        layout = YUV(8, matrix, full_range=False, halved=(True, True))
        neutral = torch.full((1, 4, 4), 128, dtype=torch.uint8)
        planes = Planes(torch.full((1, 8, 8), 126, dtype=torch.uint8), neutral, neutral)
        image, excess = layout.to_rgb(planes)
        torch.testing.assert_close(image, torch.full_like(image, 110 / 219))
        assert excess.abs().max() < 1e-6


def test_chroma_sits_on_even_columns_and_between_rows():
    """A ramp of chroma continues as a ramp, at the places that H.264 gives to its samples."""
    layout = YUV(10, 1, full_range=True, halved=(True, True))
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    ramp = (256 + 32 * columns + 16 * rows).to(torch.int16)[None]
    flat = torch.full((1, 16, 16), 512, dtype=torch.int16)
    image, excess = layout.to_rgb(Planes(flat, torch.full_like(ramp, 512), ramp))
    red = (image + excess)[0, 0] - 512 / 1023
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    expected = (256 + 32 * (columns / 2) + 16 * ((rows - 0.5) / 2) - 512) / 1023 * 2 * (1 - 0.2126)
    torch.testing.assert_close(red[2:-2, :-1], expected[2:-2, :-1])
