import torch
from skimage import data
from torch import Tensor

from stages.blind_deconvolution import motion_kernel
from stages.deconvolution.hyper_laplacian import deconvolve
from stages.deconvolution.kernels import point_kernel
from stages.deconvolution.ringing import without_ringing
from train.degradation import functions


def undone(clean: Tensor, length: float) -> Tensor:
    """A photo blurred along 11 px, undone as if it had been another length."""
    blurred = functions.quantise(functions.blur(clean[None], motion_kernel(11, 30)[None]))
    return deconvolve(blurred[0], motion_kernel(length, 30), 3000.0)


def test_ripples_beside_an_edge_go() -> None:
    rows, columns = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    distance = torch.hypot(rows - 60, columns - 60)
    clean = torch.where(distance < 20, 0.7, 0.3).expand(3, -1, -1)
    rippled = undone(clean, 18)
    calm = without_ringing(rippled, motion_kernel(18, 30))
    around = (distance > 32) & (distance < 50)
    before, after = ((image - clean)[:, around].std() for image in (rippled, calm))
    assert before > 6 / 255
    assert after < 0.85 * before


def test_detail_stays() -> None:
    clean = torch.from_numpy(data.astronaut()[:128, 150:278].copy()).permute(2, 0, 1).float() / 255
    sharp = undone(clean, 11)
    calm = without_ringing(sharp, motion_kernel(11, 30))
    assert (calm - clean).square().mean() < 1.05 * (sharp - clean).square().mean()


def test_a_kernel_that_erases_nothing_leaves_nothing_to_remove() -> None:
    image = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(without_ringing(image, point_kernel(5)), image, atol=1e-5, rtol=0)
