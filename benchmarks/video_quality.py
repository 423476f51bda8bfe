"""Measure what neighbouring frames add: ``python benchmarks/video_quality.py --data DIR``.

Clips of DIR/video, at most 640 pixels wide, get noise, and are denoised; sequences of DIR/test/sequences/NAME, with
``blur`` and ``sharp``, are deblurred. Each is restored frame by frame, from the plain mean of five frames, and from
what the stage for video makes of them, by the same network. PSNR is over RGB, the mean over frames; the worst frame is
that which gains least over frame by frame; flicker is the warping error along the motion of the clean frames, in
proportion to that of frame by frame. Seconds are CPU time a frame, the network's included.

white    white noise, clipped and rounded
camera   noise of a camera's sensor and processing (shot noise 0.004), as JPEG of quality 90, or as H.264 at CRF 20
h264     no noise, H.264 at CRF 28
clean    nothing
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.engine.engine import Engine
from pipeline.video.flicker import warping_errors
from stages.options import find_config
from stages.stage import Stage, StageConfig
from stages.temporal_denoise import TemporalDenoiseConfig
from stages.temporal_fusion import TemporalFusionConfig
from stages.weights import resolve
from train.data.images import read_rgb
from train.degradation import functions

_WIDTH = 640
_RADIUS = 2

Degrade = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A kind of degradation, and what is to undo it.

    Attributes:
        degrade: Takes and returns frames, ``(N, 3, H, W)``.
        weights: Of the network.
    """

    degrade: Degrade
    weights: str = "denoise_blind_fast"


def white(sigma: float) -> Degrade:
    """Return what adds white noise of a standard deviation in gray levels."""

    def degrade(frames: Tensor) -> Tensor:
        generator = Generator().manual_seed(0)
        return functions.quantise(functions.add_gaussian_noise(frames, torch.tensor([sigma]), generator))

    return degrade


def camera(compress: Degrade) -> Degrade:
    """Return what adds one camera's noise to all frames, and compresses them."""

    def degrade(frames: Tensor) -> Tensor:
        generator = Generator().manual_seed(1)
        taken, shot = functions.random_cameras(1, torch.device("cpu"), generator), torch.tensor([0.004])
        read, smoothing = functions.read_noise_of(shot, generator), torch.tensor([0.55])
        noisy = [
            functions.add_camera_noise(frame[None], shot, read, taken, smoothing, smoothing, generator)
            for frame in frames
        ]
        return compress(functions.quantise(torch.cat(noisy)))

    return degrade


def jpeg(frames: Tensor) -> Tensor:
    """Compress every frame to JPEG of quality 90."""
    return functions.quantise(functions.compress_jpeg(frames, torch.full((len(frames),), 90.0), half_chroma=True))


def h264(crf: int) -> Degrade:
    """Return what encodes frames by H.264 at a constant rate factor, 4:2:0, and decodes them."""

    def degrade(frames: Tensor) -> Tensor:
        file = BytesIO()
        with av.open(file, "w", format="matroska") as encoder:
            options = {"crf": str(crf), "preset": "medium", "threads": "1"}
            stream = encoder.add_stream("libx264", rate=25, options=options)
            stream.height, stream.width, stream.pix_fmt = *frames.shape[-2:], "yuv420p"
            for pixels in _as_8_bit(frames):
                encoder.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            encoder.mux(stream.encode(None))
        file.seek(0)
        with av.open(file, "r") as decoder:
            return _to_tensor(frame.to_ndarray(format="rgb24") for frame in decoder.decode(video=0))

    return degrade


CASES = {
    "white-10": Case(white(10)),
    "white-25": Case(white(25)),
    "camera-jpeg": Case(camera(jpeg), "denoise_camera_fast"),
    "camera-h264": Case(camera(h264(20)), "denoise_camera_fast"),
    "h264": Case(h264(28)),
    "clean": Case(lambda frames: frames),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=[*CASES, "blur"], nargs="*", default=[*CASES, "blur"])
    parser.add_argument("--clips", default="*", help="pattern of the clips' and sequences' names")
    parser.add_argument("--frames", type=int, default=12, help="of every clip, from the first")
    parser.add_argument("--deblur", default="deblur", help="weights of the network that deblurs")
    options = parser.parse_args()
    print("| frames | way | PSNR | gain | worst frame | flicker | seconds |\n|---|---|---|---|---|---|---|")
    for name in options.only:
        if name == "blur":
            for folder in sorted(options.data.glob(f"test/sequences/{options.clips}")):
                blurred, sharp = _images(folder / "blur"), _images(folder / "sharp")
                _print(folder.name, blurred, sharp, TemporalFusionConfig(), _network(options.deblur))
            continue
        for path in sorted(options.data.glob(f"video/{options.clips}")):
            case, clean = CASES[name], _read_clip(path, options.frames)
            _print(
                f"{name}, {'_'.join(path.stem.split('_')[:2])}",
                case.degrade(clean),
                clean,
                TemporalDenoiseConfig(),
                _network(case.weights),
            )


def _network(weights: str) -> StageConfig:
    return find_config(weights).model_copy(update={"weights": str(resolve(weights, Path()))})


def _chain(*stages: StageConfig) -> Chain:
    return Chain.build(ChainConfig.model_validate({"stages": stages}))


class MeanOfFrames(Stage):
    """The plain average of a window, for comparison."""

    radius = _RADIUS

    def forward(self, image: Tensor) -> Tensor:
        """Return the mean, ``(B, 3, H, W)``."""
        return image.mean(dim=1)


def _print(name: str, frames: Tensor, clean: Tensor, stage: StageConfig, network: StageConfig) -> None:
    """Print a row for every way to restore frames."""
    ways = {
        "frame by frame": _chain(network),
        "mean of frames": _with_mean(stage, network),
        stage.stage: _chain(stage, network),
    }
    results: dict[str, Tensor] = {}
    for way, chain in ways.items():
        started = time.process_time()
        results[way] = restored(Engine(chain), frames)
        seconds = (time.process_time() - started) / len(frames)
        alone = results["frame by frame"]
        gains = psnr(results[way], clean) - psnr(alone, clean)
        flicker = _flicker(clean, results[way]) / _flicker(clean, alone)
        print(
            f"| {name} | {way} | {psnr(results[way], clean).mean():.2f} | {gains.mean():+.2f} | {gains.min():+.2f} "
            f"| {flicker:.2f} | {seconds:.2f} |",
            flush=True,
        )


def _with_mean(stage: StageConfig, network: StageConfig) -> Chain:
    chain = _chain(stage, network)
    return chain.with_stages([MeanOfFrames(), *chain.stages[1:]])


def restored(engine: Engine, frames: Tensor) -> Tensor:
    """Restore a scene's frames, ``(N, 3, H, W)``, as video restoration does; rounded to 8 bit."""
    for part in engine.parts():
        radius = part.chain.radius
        windows = torch.tensor([_window(at, radius, len(frames)) for at in range(len(frames))]) if radius else None
        frames = part.run_frames(frames, windows=windows).pixels
    return functions.quantise(frames)


def _window(at: int, radius: int, count: int) -> list[int]:
    return [index if 0 <= index < count else at for index in range(at - radius, at + radius + 1)]


def psnr(frames: Tensor, clean: Tensor) -> Tensor:
    """Return the PSNR of each frame in dB; 99 for equal ones."""
    return (-10 * torch.log10((frames - clean).square().flatten(1).mean(dim=1))).clamp_max(99)


def _flicker(clean: Tensor, frames: Tensor) -> float:
    return warping_errors(_as_8_bit(clean), {"result": _as_8_bit(frames)})["result"].squared


def _as_8_bit(frames: Tensor) -> Iterator[np.ndarray]:
    return (np.ascontiguousarray(frame) for frame in frames.permute(0, 2, 3, 1).mul(255).round().byte().numpy())


def _to_tensor(frames: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(frames))).permute(0, 3, 1, 2).float() / 255


def _read_clip(path: Path, count: int) -> Tensor:
    with av.open(str(path)) as container:
        decoded = islice(container.decode(video=0), count)
        return _to_tensor(_smaller(frame.to_ndarray(format="rgb24")) for frame in decoded)


def _smaller(pixels: np.ndarray) -> np.ndarray:
    """Downscale by area to at most the width that is measured; even sides, as H.264 wants them."""
    height, width = pixels.shape[:2]
    size = min(width, _WIDTH), round(height * min(1.0, _WIDTH / width) / 2) * 2
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _images(folder: Path) -> Tensor:
    paths: Sequence[Path] = sorted(folder.iterdir())
    return _to_tensor(read_rgb(path) for path in paths)


if __name__ == "__main__":
    main()
