"""The table of losses without weights: restored and clean images, ``(B, 3, H, W)`` float32, to one number.

Each is 0 or less for equal images and rises with their distance; all are means, so that none depends on the number
of images or, unless it says so, on their size.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

_SSIM_WINDOW = 11  # pixels
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """Differentiable L1 (Lai et al., CVPR 2017), rounded off below half an 8-bit level."""
    return ((restored - clean) ** 2 + 0.002**2).sqrt().mean()


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean over images of log(MSE), the negative PSNR up to a factor (Chen et al., NAFNet, ECCV 2022).

    The floor of 1e-4 (40 dB) keeps nearly perfect crops from taking all of the gradient.
    """
    return torch.log(((restored - clean) ** 2).mean(dim=(1, 2, 3)) + 1e-4).mean()


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """One minus SSIM (Wang et al., 2004): the mean of its map, over R, G and B.

    torchmetrics' code: Gaussian window of 11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03, population covariance.
    Unlike MATLAB and scikit-image it mirrors the border instead of leaving five pixels out.
    """
    return 1 - _similarity(restored, clean)[0].mean()


def ms_ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """One minus MS-SSIM (Wang et al., 2003) over as many of its five scales as the window fits into.

    Five scales take crops of 176 pixels, four 88, three 44, two 22; below it is SSIM. The published weights of the
    scales kept are divided by their sum. Negative similarities count as 1e-4, for whose fractional powers there is
    a gradient.
    """
    side = min(clean.shape[-2:])
    weights = [weight for level, weight in enumerate(_SCALE_WEIGHTS) if level == 0 or side >> level >= _SSIM_WINDOW]
    product = torch.ones((), device=clean.device)
    for level, weight in enumerate(weights, start=1):
        similarity, contrast = _similarity(restored, clean)
        kept = similarity if level == len(weights) else contrast
        product = product * kept.clamp_min(1e-4) ** (weight / sum(weights))
        restored, clean = F.avg_pool2d(restored, 2), F.avg_pool2d(clean, 2)
    return 1 - product.mean()


def sobel(restored: Tensor, clean: Tensor) -> Tensor:
    """L1 between Sobel's derivatives along both axes, in brightness per pixel; the border pixels are left out.

    The derivatives and not their magnitude, which knows no direction and has no gradient where it is zero.
    """
    error = restored - clean
    return (_derivative(error, -1, -2).abs().mean() + _derivative(error, -2, -1).abs().mean()) / 2


def fft(restored: Tensor, clean: Tensor) -> Tensor:
    """L1 between the real and imaginary parts of the spectra (Cho et al., MIMO-UNet, ICCV 2021).

    The transform is not normalised, as in the paper, which adds a tenth of it to L1: white differences weigh by the
    root of the number of pixels.
    """
    return torch.view_as_real(torch.fft.rfft2(restored - clean)).abs().mean()


LOSSES: dict[str, Loss] = {
    "charbonnier": charbonnier,
    "fft": fft,
    "l1": F.l1_loss,
    "ms_ssim": ms_ssim,
    "mse": F.mse_loss,
    "psnr": psnr,
    "sobel": sobel,
    "ssim": ssim,
}


def _similarity(restored: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Return SSIM and its contrast-structure part, each ``(B,)``."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    # Contiguous, because convolutions of channels_last images may run in TF32, and a variance is a small difference.
    similarity, contrast = structural_similarity_index_measure(
        restored.contiguous(),
        clean.contiguous(),
        reduction="none",
        data_range=1.0,
        return_contrast_sensitivity=True,
    )
    return similarity, contrast


def _derivative(image: Tensor, along: int, across: int) -> Tensor:
    """Sobel's filter as the product of its two: a central difference along one axis, 1-2-1 across."""
    before, _, after = _neighbours(image, along)
    first, middle, last = _neighbours((after - before) / 2, across)
    return (first + 2 * middle + last) / 4


def _neighbours(image: Tensor, axis: int) -> list[Tensor]:
    """Return the image moved by -1, 0 and 1 pixels along an axis, two pixels shorter."""
    return [image.narrow(axis, start, image.shape[axis] - 2) for start in range(3)]
