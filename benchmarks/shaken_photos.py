"""What ``blind_deconvolution`` does to shaken and to sharp photos: ``python benchmarks/shaken_photos.py --data DIR``.

levin    the real shakes of Levin et al. 2009, DIR/pairs/levin09_gray/{blur,sharp}; PSNR at the best shift of whole
         pixels, 20 px cut off
shaken   CBSD68 with drawn shakes of 10 to 25 px, every other one in linear light, with noise of sigma 2; PSNR over RGB
jpeg     the same after JPEG of quality 85
turned   every fourth of CBSD68 with a shake of 12 px and a turn that moves the corners by 8 px, as above
sharp    CBSD68 and DIR/screens as they are
gopro    DIR/pairs/gopro*/{blur,sharp}, where things move by themselves
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.findings import collected_findings
from train.data.images import read_rgb
from train.degradation import functions
from train.degradation.blur_steps import Shake

_SHIFT, _BORDER = 12, 20

Pairs = Iterator[tuple[Tensor, Tensor]]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=SETS, nargs="*", default=list(SETS))
    parser.add_argument("--every", type=int, default=1, help="measure every nth photo")
    options = parser.parse_args()
    print("| photos | number | before | after | gain | better | worst | untouched |\n|---|---|---|---|---|---|---|---|")
    for name in options.only:
        pairs, score = SETS[name]
        print(measured(name, pairs(options.data, options.every), score), flush=True)


@torch.inference_mode()
def measured(name: str, pairs: Pairs, score: Callable[[Tensor, Tensor], float]) -> str:
    """Return a row of the table; after each photo, print its gain and the row so far to the error stream."""
    stage = BlindDeconvolutionConfig().build().eval()
    scores, untouched, row = [], 0, ""
    for image, clean in pairs:
        with collected_findings() as found:
            result = functions.quantise(stage(image[None])[0])
        untouched += torch.equal(result, image)
        scores.append([score(image, clean), score(result, clean)])
        before, after = torch.tensor(scores).unbind(1)
        gains = (after - before).nan_to_num()  # equal images
        row = (
            f"| {name} | {len(gains)} | {before.mean():.2f} | {after.mean():.2f} | {gains.mean():+.2f} "
            f"| {(gains > 0).float().mean():.0%} | {gains.min():+.2f} | {untouched} |"
        )
        print(f"{row} {gains[-1]:+.2f}: {found[0].text}", file=sys.stderr, flush=True)
    return row


def levin(data: Path, every: int) -> Pairs:
    """Yield the blurred and the sharp photos of a folder of pairs."""
    return _pairs(data / "pairs" / "levin09_gray", every)


def gopro(data: Path, every: int) -> Pairs:
    """Yield those of all folders of GoPro."""
    for folder in sorted((data / "pairs").glob("gopro*")):
        yield from _pairs(folder, every)


def shaken(data: Path, every: int, quality: int | None = None) -> Pairs:
    """Yield shaken photos and the clean ones; each has a shake of its own that does not depend on the others."""
    for index, path in list(enumerate(sorted((data / "CBSD68").iterdir())))[::every]:
        generator = Generator().manual_seed(100 + index)
        clean = _read(path)
        kernel = functions.shake_kernels(10 + 15 * torch.rand(1, generator=generator), 39, generator)
        image = _blurred(clean[None], kernel, linear=index % 2 == 1)
        image = functions.quantise(functions.add_gaussian_noise(image, torch.tensor([2.0]), generator))
        if quality is not None:
            image = functions.quantise(functions.compress_jpeg(image, torch.tensor([float(quality)]), half_chroma=True))
        yield image[0], clean


def jpeg(data: Path, every: int) -> Pairs:
    """Yield what ``shaken`` does, compressed."""
    return shaken(data, every, quality=85)


def turned(data: Path, every: int) -> Pairs:
    """Yield photos of a camera that turned while it shook, and the clean ones."""
    for index, path in list(enumerate(sorted((data / "CBSD68").iterdir())))[:: 4 * every]:
        generator = Generator().manual_seed(index)
        clean = _read(path)
        step = Shake(length=[12.0, 12.0], rotation=[8.0, 8.0], linear_light=float(index % 8 == 4))
        image = step.apply(clean[None], generator)
        yield functions.quantise(functions.add_gaussian_noise(image, torch.tensor([2.0]), generator))[0], clean


def sharp(data: Path, every: int) -> Pairs:
    """Yield clean photos and screenshots."""
    for folder in ("CBSD68", "screens"):
        for path in sorted((data / folder).iterdir())[::every]:
            yield _read(path), _read(path)


def psnr(image: Tensor, clean: Tensor) -> float:
    """Return the PSNR over RGB in dB; infinite for equal images."""
    return -10 * torch.log10((image - clean).square().mean()).item()


def shifted_psnr(image: Tensor, clean: Tensor) -> float:
    """Return the best PSNR over all shifts by a few whole pixels, without the border."""
    height, width = clean.shape[-2:]
    inner = clean[..., _BORDER : height - _BORDER, _BORDER : width - _BORDER]
    padded = F.pad(image[None], (_SHIFT,) * 4, mode="replicate")[0]
    shifts = [(_BORDER + row, _BORDER + column) for row in range(2 * _SHIFT + 1) for column in range(2 * _SHIFT + 1)]
    return max(psnr(padded[..., y : y + inner.shape[-2], x : x + inner.shape[-1]], inner) for y, x in shifts)


SETS: dict[str, tuple[Callable[[Path, int], Pairs], Callable[[Tensor, Tensor], float]]] = {
    "levin": (levin, shifted_psnr),
    "shaken": (shaken, psnr),
    "jpeg": (jpeg, psnr),
    "turned": (turned, psnr),
    "sharp": (sharp, psnr),
    "gopro": (gopro, psnr),
}


def _pairs(folder: Path, every: int) -> Pairs:
    for path in sorted((folder / "blur").iterdir())[::every]:
        yield _read(path), _read(folder / "sharp" / path.name)


def _read(path: Path) -> Tensor:
    return torch.from_numpy(read_rgb(path)).permute(2, 0, 1).float() / 255


def _blurred(clean: Tensor, kernel: Tensor, *, linear: bool) -> Tensor:
    if not linear:
        return functions.blur(clean, kernel)
    return functions.from_linear_light(functions.blur(functions.to_linear_light(clean), kernel))


if __name__ == "__main__":
    main()
