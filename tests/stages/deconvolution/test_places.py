import pytest
import torch
from skimage import data
from torch import Generator, Tensor

from stages.blind_deconvolution import motion_kernel
from stages.deconvolution import places
from stages.deconvolution.kernels import point_kernel, widened
from stages.deconvolution.places import Places, kernels_by_place
from stages.deconvolution.search import find_blur
from stages.deconvolution.tiles import undo_blur
from train.degradation import functions

GRAY = torch.rand(200, 240, generator=Generator().manual_seed(0))
KERNEL = motion_kernel(13, 0)


def found(kernels: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> Places:
    """What becomes of these estimates, row by row."""
    coming = iter(kernels)
    monkeypatch.setattr(places, "estimate_kernel", lambda crop, size, smoothness: next(coming))
    places_found = kernels_by_place(GRAY, KERNEL, linear=False)
    assert places_found is not None
    return places_found


def turned() -> list[Tensor]:
    """Kernels of a camera that turned: the farther from the first place, the steeper."""
    return [motion_kernel(13, 6.0 * (row + column)) for row in range(3) for column in range(3)]


def test_kernels_that_change_steadily_belong_to_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = found(turned(), monkeypatch).kernels
    assert kernels is not None
    torch.testing.assert_close(kernels.flatten(0, 1), torch.stack(turned()))


def test_kernels_that_differ_by_chance_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator().manual_seed(0)
    noisy = [KERNEL * torch.rand(KERNEL.shape, generator=generator) for _ in range(9)]
    noisy_places = found([kernel / kernel.sum() for kernel in noisy], monkeypatch)
    assert noisy_places.kernels is None
    assert noisy_places.support > 0.8


def test_a_kernel_unlike_its_neighbours_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = turned()
    kernels[3] = point_kernel(15)
    replaced = found(kernels, monkeypatch).kernels
    assert replaced is not None
    torch.testing.assert_close(replaced[1, 0], KERNEL)
    torch.testing.assert_close(replaced[1, 1], kernels[4])


def test_where_a_third_is_unlike_its_neighbours_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = turned()
    for place in (0, 4, 8):
        kernels[place] = point_kernel(15)
    assert found(kernels, monkeypatch).kernels is None


def test_where_most_are_unlike_their_neighbours_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [motion_kernel(13, 90.0 * index) for index in range(9)]
    unlike = found(kernels, monkeypatch)
    assert unlike.kernels is None
    assert unlike.support < 0.8


@pytest.mark.parametrize(("shared", "own"), [(0.04, 0.0), (0.08, 0.03)], ids=["small errors", "large errors"])
def test_where_neighbours_are_alike_by_errors_they_share_one_serves(
    shared: float, own: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a photo overlap by half: each has the errors of 2 x 2 of 4 x 4 cells, here two pixels each."""
    row, column = torch.arange(4)[:, None], torch.arange(4)
    cells = torch.zeros(4, 4, 15, 15)
    cells[row, column, row, 3 * column] = shared
    cells[row, column, 14 - column, 2 * row] = shared
    kernels = KERNEL + (cells[:3, :3] + cells[1:, :3] + cells[:3, 1:] + cells[1:, 1:]).flatten(0, 1)
    kernels[range(9), 9, range(5, 14)] += own
    assert found(list(kernels / kernels.sum(dim=(1, 2), keepdim=True)), monkeypatch).kernels is None


def test_a_photo_too_small_for_crops_has_one_kernel() -> None:
    assert kernels_by_place(GRAY[:100], KERNEL, linear=False) is None


def test_every_part_is_undone_by_its_kernel() -> None:
    clean = torch.from_numpy(data.astronaut()[:120, 130:350].copy()).permute(2, 0, 1)[None].float() / 255
    pair = torch.stack([widened(motion_kernel(9, angle), 11) for angle in (0, 90)])
    image = functions.blur(clean, pair[:1])
    image[..., 110:] = functions.blur(clean, pair[1:])[..., 110:]
    image = functions.quantise(image)[0]
    errors = [
        (undo_blur(image, kernels, linear=False) - clean[0]).square().mean()
        for kernels in (pair[None], pair[:1, None], pair[1:, None])
    ]
    assert errors[0] < 0.7 * min(errors[1:])


@pytest.mark.slow
def test_a_camera_that_turned_is_found_out() -> None:
    clean = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1)[None].float() / 255
    length, turn = torch.tensor([10.0]), torch.tensor([10.0])
    image = functions.quantise(functions.shake(clean, length, turn, Generator().manual_seed(23)))[0]
    search = find_blur(image, 31, "encoded")
    assert search.by_place is not None
    assert search.kernel is not None
    assert search.by_place.shape[:2] == (3, 3)
    one, nine = (
        (undo_blur(image, kernels, linear=False) - clean[0]).square().mean()
        for kernels in (search.kernel[None, None], search.by_place)
    )
    assert nine < 0.8 * one
