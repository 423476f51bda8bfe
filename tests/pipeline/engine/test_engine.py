"""Restoring images: seam-free tiles, precisions, out-of-memory retries.

All weights are random, because a network's zero-initialised last layer would hide every error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.device.memory import release
from pipeline.engine.engine import Engine
from pipeline.engine.work_size import WorkSize
from pipeline.errors import ConfigError, OutOfMemory, RestorationError
from stages.blind_deconvolution import BlindDeconvolutionConfig
from stages.concat_unet import ConcatUNetConfig
from stages.dncnn import DnCNNConfig
from stages.edsr import EDSRConfig
from stages.layers import bicubic_upscale
from stages.nafnet import NAFNetConfig
from stages.stage import Stage, StageConfig
from stages.uformer import UformerConfig
from stages.unet import UNetConfig
from stages.unsharp_mask import UnsharpMaskConfig
from tests.pipeline.chains import chain_of

DNCNN = DnCNNConfig(depth=4, width=8)
DNCNN_AT_HALF_SIZE = DnCNNConfig(depth=4, width=8, unshuffle=2)
UNET = UNetConfig(width=4, levels=3)
UNET_AT_HALF_SIZE = UNetConfig(width=4, levels=4, unshuffle=2, residual=True)
EDSR_X2 = EDSRConfig(scale=2, width=8, depth=2, upsampler="direct", bicubic_skip=True)
EDSR_X3 = EDSRConfig(scale=3, width=8, depth=2)
# Needs the whole image.
CONCAT_UNET = ConcatUNetConfig(width=4, squeeze_excitation=True)
UNSHARP = UnsharpMaskConfig()

CHAINS = {
    "dncnn": [DNCNN],
    "dncnn at half size": [DNCNN_AT_HALF_SIZE],
    "unet": [UNET],
    "nafnet with local statistics": [
        NAFNetConfig(width=4, encoder_blocks=[1], decoder_blocks=[1], local_size=8),
    ],
    "uformer": [UformerConfig(width=4, depths=[1, 2, 1], window=4)],
    "edsr x2": [EDSR_X2],
    "edsr x3": [EDSR_X3],
    "unsharp mask": [UNSHARP],
    "upscale, then a network with a grid": [EDSR_X3, DNCNN_AT_HALF_SIZE, UNSHARP],
    "blended": [UNET.model_copy(update={"strength": 0.5}), EDSR_X2.model_copy(update={"strength": 0.3})],
    "nothing but bicubic": [EDSR_X2.model_copy(update={"strength": 0.0}), UNSHARP],
    "the whole image in between": [EDSR_X2, CONCAT_UNET, DNCNN_AT_HALF_SIZE, UNSHARP],
    "default": [DNCNN_AT_HALF_SIZE, UNET_AT_HALF_SIZE, EDSR_X2, UNSHARP],
}


class Stub(Stage):
    """A stage that halves the image's values; tests override what it does."""

    def forward(self, image: Tensor) -> Tensor:
        return image / 2


class StubConfig(StageConfig):
    stage: Literal["stub"] = "stub"

    def build(self) -> Stage:
        return Stub()


def stub_chain(stage: Stage) -> Chain:
    return Chain(ChainConfig.model_construct(stages=(StubConfig(),)), [stage])


def noise_image(height: int = 93, width: int = 71, dtype: str = "uint8", channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, channels)).squeeze(2 if channels == 1 else ())
    return values.astype(dtype) if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.float64) - second).max())


@pytest.mark.parametrize("tile", [16, 37, 64])
@pytest.mark.parametrize("name", CHAINS)
def test_tiles_leave_no_trace(name, tile):
    chain, image = chain_of(*CHAINS[name]), noise_image(69, 45, dtype="float32")
    whole = Engine(chain, device="cpu", tile=0).run(image)
    tiled = Engine(chain, device="cpu", tile=tile).run(image)
    assert (whole.tile, tiled.tile) == (0, tile)
    assert whole.pixels.shape == (69 * chain.scale, 45 * chain.scale, 3)
    assert difference(tiled.pixels, whole.pixels) <= 1e-5


@pytest.mark.parametrize("size", [(20, 400), (400, 20)])
def test_tiles_leave_no_trace_where_the_image_is_larger_than_the_halo(size):
    chain, image = chain_of(*CHAINS["default"]), noise_image(*size, "float32")
    assert chain.halo < 150
    whole = Engine(chain, device="cpu", tile=0).run(image)
    tiled = Engine(chain, device="cpu", tile=50).run(image)
    assert difference(tiled.pixels, whole.pixels) <= 1e-5


def test_the_share_that_is_done_is_reported_after_every_stage_of_every_tile():
    shares: list[float] = []
    Engine(chain_of(DNCNN, UNSHARP), device="cpu", tile=50).run(noise_image(), watch=shares.append)
    assert shares == [number / 8 for number in range(1, 9)]  # 2 x 2 tiles, 2 stages


def test_an_image_is_given_up_within_a_stage_of_a_tile():
    class Cancelled(BaseException):
        pass

    def cancel(share: float) -> None:
        shares.append(share)
        if share > 0.25:
            raise Cancelled

    shares: list[float] = []
    engine = Engine(chain_of(DNCNN, UNSHARP), device="cpu", tile=50)
    with pytest.raises(Cancelled):
        engine.run(noise_image(), watch=cancel)
    assert len(shares) == 3
    assert engine.run(noise_image()).pixels.shape == (93, 71, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 3)])
def test_any_size_is_restored(size):
    chain = chain_of(*CHAINS["default"])
    result = Engine(chain, device="cpu").run(noise_image(*size))
    assert result.pixels.shape == (2 * size[0], 2 * size[1], 3)


def test_padding_is_replicated():
    chain = chain_of(UNET)
    image = noise_image(13, 10, "float32")
    padded = np.pad(image, ((0, 3), (0, 2), (0, 0)), mode="edge")
    expected = Engine(chain, device="cpu").run(padded).pixels[:13, :10]
    assert difference(Engine(chain, device="cpu").run(image).pixels, expected) <= 1e-6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_strength_zero_returns_the_very_pixels(dtype, channels):
    off = [config.model_copy(update={"strength": 0.0}) for config in (DNCNN, UNET, UNSHARP)]
    chain = chain_of(*off)
    image = noise_image(256, 256, dtype, channels)
    image.flat[: 256 * 256] = np.arange(256 * 256, dtype=dtype)
    assert (Engine(chain, device="cpu", tile=100).run(image).pixels == image).all()


def test_strength_zero_upscales_bicubically():
    image = noise_image(20, 30, "float32")
    chain = chain_of(EDSR_X2.model_copy(update={"strength": 0.0}))
    expected = bicubic_upscale(torch.from_numpy(image).permute(2, 0, 1)[None], 2).clamp(0, 1)
    result = Engine(chain, device="cpu").run(image).pixels
    assert difference(result, expected[0].permute(1, 2, 0).numpy()) <= 1e-6


def test_strength_zero_does_not_run_the_network():
    class Untouchable(Stub):
        def forward(self, image: Tensor) -> Tensor:
            raise AssertionError

    config = ChainConfig.model_construct(stages=(StubConfig(strength=0.0),))
    Engine(Chain(config, [Untouchable()]), device="cpu").run(noise_image())


def test_strength_blends_output_and_input():
    image = noise_image(dtype="float32")
    config = ChainConfig.model_construct(stages=(StubConfig(strength=0.4),))
    result = Engine(Chain(config, [Stub()]), device="cpu").run(image).pixels
    assert difference(result, 0.4 * image / 2 + 0.6 * image) <= 1e-6


def test_every_stage_is_given_an_image():
    class Loud(Stub):
        def forward(self, image: Tensor) -> Tensor:
            return 3 * image - 1

    class Checking(Stub):
        def forward(self, image: Tensor) -> Tensor:
            assert image.min() >= 0
            assert image.max() <= 1
            return image

    config = ChainConfig.model_construct(stages=(StubConfig(), StubConfig()))
    Engine(Chain(config, [Loud(), Checking()]), device="cpu").run(noise_image())


def test_integers_are_rounded_not_cut():
    image = np.full((4, 4, 3), 101, np.uint8)
    result = Engine(stub_chain(Stub()), device="cpu").run(image).pixels
    assert result[0, 0, 0] in (50, 51)

    class Brighter(Stub):
        def forward(self, image: Tensor) -> Tensor:
            return image + 0.9 / 255

    assert (Engine(stub_chain(Brighter()), device="cpu").run(image).pixels == 102).all()


def test_sixteen_bits_keep_their_depth():
    class Faint(Stub):
        def forward(self, image: Tensor) -> Tensor:
            return image + 3 / 65535

    image = np.arange(40000, 40600, dtype=np.uint16).reshape(20, 30)
    result = Engine(stub_chain(Faint()), device="cpu").run(image).pixels
    assert result.dtype == np.uint16
    assert (result == image + 3).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_dtype_and_channels_stay(dtype, channels):
    image = noise_image(20, 24, dtype, channels)
    result = Engine(chain_of(*CHAINS["default"]), device="cpu").run(image, keep_stages=True)
    for pixels in [result.pixels, *result.stages.values()]:
        assert pixels.dtype == image.dtype
        assert pixels.ndim == image.ndim


@pytest.mark.parametrize("tile", [0, 32])
def test_stages_are_kept(tile):
    chain, image = chain_of(*CHAINS["default"]), noise_image(dtype="float32")
    result = Engine(chain, device="cpu", tile=tile).run(image, keep_stages=True)
    assert tuple(result.stages) == tuple(result.seconds) == chain.names
    assert [pixels.shape[0] for pixels in result.stages.values()] == [93, 93, 186, 186]
    assert result.stages["unsharp_mask"] is result.pixels


def test_a_kept_stage_is_what_the_chain_up_to_it_makes():
    chain, image = chain_of(*CHAINS["default"]), noise_image(96, 80, "float32")
    shorter = Chain(ChainConfig(stages=chain.config.stages[:3]), chain.stages[:3])
    kept = Engine(chain, device="cpu", tile=32).run(image, keep_stages=True).stages["edsr"]
    assert difference(kept, Engine(shorter, device="cpu").run(image).pixels) <= 1e-5


def test_stages_are_not_kept_unasked():
    assert Engine(stub_chain(Stub()), device="cpu").run(noise_image()).stages == {}


def test_bf16_is_close_to_fp32():
    chain, image = chain_of(*CHAINS["default"]), noise_image()
    exact = Engine(chain, device="cpu").run(image)
    half = Engine(chain, device="cpu", precision="bf16").run(image)
    assert (exact.precision, half.precision) == ("fp32", "bf16")
    assert 0 < np.abs(half.pixels.astype(int) - exact.pixels).mean() < 2
    assert half.fp32_retries == 0


on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("name", CHAINS)
def test_a_gpu_computes_what_the_cpu_does(name):
    """On the last device of those there are, so that none is taken for the first one."""
    chain, image = chain_of(*CHAINS[name]), noise_image(dtype="float32")
    exact = Engine(chain, device="cpu").run(image, keep_stages=True)
    device = f"cuda:{torch.cuda.device_count() - 1}"
    result = Engine(chain, device=device, tile=48).run(image, keep_stages=True)
    assert (result.device, result.precision) == (device, "fp32")
    assert tuple(result.seconds) == chain.names
    for stage, pixels in result.stages.items():
        assert difference(pixels, exact.stages[stage]) <= 1e-4


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("compile", ["off", "on"])
@pytest.mark.parametrize(("precision", "least"), [("fp32", 90), ("fp16", 55), ("bf16", 45)])
def test_precisions_of_a_gpu_agree_with_the_cpu(precision, least, compile):
    """The default chain on a photo, in dB from the CPU's fp32; four runs, because graphs take over after the first."""
    photo = data.astronaut()[:180, :320].astype(np.float32) / 255
    path = Path(__file__).parents[3] / "configs" / "restore_x2.yaml"
    exact = Engine(Chain.load(path), device="cpu", precision="fp32").run(photo).pixels
    engine = Engine(Chain.load(path), device="cuda", precision=precision, compile=compile)
    for _ in range(4):
        result = engine.run(photo)
        assert result.fp32_retries == 0
        assert -10 * np.log10(np.square(result.pixels - exact).mean() + 1e-12) >= least


@pytest.mark.gpu
@on_a_gpu
def test_a_gpu_that_runs_out_of_memory_makes_the_same_image():
    chain, image = chain_of(*CHAINS["default"]), noise_image(1024, 1024, "float32")
    engine = Engine(chain, device="cuda", tile=0)
    torch.cuda.reset_peak_memory_stats()
    expected = engine.run(image)
    needed, there = torch.cuda.max_memory_allocated(), torch.cuda.mem_get_info()[1]
    release(engine.device)
    torch.cuda.set_per_process_memory_fraction(0.6 * needed / there)
    try:
        result = Engine(chain, device="cuda", tile=0).run(image)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert (expected.memory_retries, expected.tile) == (0, 0)
    assert result.memory_retries > 0
    assert difference(result.pixels, expected.pixels) <= 1e-4


class NotFiniteInHalf(Stub):
    def forward(self, image: Tensor) -> Tensor:
        bad = torch.is_autocast_enabled("cpu") and image.shape[-1] == 32
        return image / 2 + (torch.inf if bad else 0)


def test_a_tile_that_half_precision_cannot_hold_is_run_again_in_fp32():
    chain, image = stub_chain(NotFiniteInHalf()), noise_image(64, 40)
    result = Engine(chain, device="cpu", precision="bf16", tile=32).run(image)
    assert result.fp32_retries == 2
    assert (result.pixels == Engine(chain, device="cpu").run(image).pixels).all()


def test_what_fp32_cannot_hold_either_is_an_error():
    class Broken(Stub):
        def forward(self, image: Tensor) -> Tensor:
            return image * torch.nan

    with pytest.raises(RestorationError, match="'stub' made values that are not finite"):
        Engine(stub_chain(Broken()), device="cpu", precision="bf16").run(noise_image())


class Hungry(Stub):
    """Runs out of memory above a number of pixels."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.limit = limit
        self.error = error
        self.sizes: list[int] = []

    def forward(self, image: Tensor) -> Tensor:
        self.sizes.append(image.shape[-1])
        if image.shape[-1] * image.shape[-2] > self.limit:
            raise self.error
        return image / 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        MemoryError(),
    ],
)
def test_full_memory_halves_the_tile(error):
    image = noise_image(300, 200)
    stage = Hungry(100 * 100, error)
    engine = Engine(stub_chain(stage), device="cpu", tile=0)
    result = engine.run(image)
    assert (result.pixels == Engine(stub_chain(Stub()), device="cpu").run(image).pixels).all()
    assert (result.tile, result.memory_retries) == (96, 2)


def test_a_tile_that_did_not_fit_is_not_tried_again():
    engine = Engine(stub_chain(Hungry(100 * 100, MemoryError())), device="cpu", tile=0)
    engine.run(noise_image(300, 200))
    again = engine.run(noise_image(300, 200))
    assert (again.tile, again.memory_retries) == (96, 0)


@pytest.mark.parametrize("tile", [0, "auto"])
def test_nothing_smaller_than_64_px_is_tried(tile):
    stage = Hungry(0, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    with pytest.raises(OutOfMemory, match=r"tiles of 64 px do not fit.*Tried to allocate 2 GiB"):
        Engine(stub_chain(stage), device="cpu", tile=tile).run(noise_image(300, 200))
    assert min(stage.sizes[tile == "auto" :]) == 64  # after the one that is measured


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        Engine(stub_chain(Hungry(0, RuntimeError("sizes of tensors"))), device="cpu", tile=0).run(noise_image())


class Dimmer(Stub):
    """Depends on every pixel."""

    halo = None

    def forward(self, image: Tensor) -> Tensor:
        return image * image.mean()


def test_a_stage_without_halo_sees_the_whole_image():
    chain, image = stub_chain(Dimmer()), noise_image(dtype="float32")
    result = Engine(chain, device="cpu", tile=16).run(image)
    assert result.tile == 0
    assert difference(result.pixels, image * image.mean()) <= 1e-6


def test_frames_meet_a_stage_without_halo_one_batch_after_the_other(monkeypatch):
    frames = torch.rand(3, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    engine = Engine(chain_of(UNSHARP, CONCAT_UNET, UNSHARP), device="cpu", tile=32)
    together = engine.run_frames(frames).pixels
    monkeypatch.setattr(WorkSize, "first", lambda self, count, height, width: (2, 32))
    torch.testing.assert_close(engine.run_frames(frames).pixels, together, atol=1e-5, rtol=0)
    assert engine.run_frames(frames).tile == 32


def test_full_memory_before_a_stage_without_halo_halves_the_tile():
    config = ChainConfig.model_construct(stages=(StubConfig(), StubConfig()))
    stage, image = Hungry(150 * 150, MemoryError()), noise_image(300, 200, "float32")
    result = Engine(Chain(config, [stage, Dimmer()]), device="cpu").run(image)
    assert 200 in stage.sizes
    assert 0 < result.tile <= 160
    assert difference(result.pixels, image / 2 * (image / 2).mean()) <= 1e-6


def test_full_memory_names_the_stage_that_cannot_be_tiled():
    stage = Hungry(0, MemoryError())
    stage.halo = None
    with pytest.raises(OutOfMemory, match="stub needs the whole image"):
        Engine(stub_chain(stage), device="cpu").run(noise_image(300, 200))
    assert stage.sizes == [200]


def test_a_blur_is_undone_in_gray_images_of_16_bits():
    sharp = data.camera()[100:228, 180:308].astype(np.float32) * 257
    image = cv2.blur(sharp, (9, 1)).round().astype(np.uint16)
    chain = Chain.build(ChainConfig(stages=(BlindDeconvolutionConfig(motion=9.0, light="encoded"),)))
    result = Engine(chain, device="cpu").run(image).pixels
    assert (result.dtype, result.shape) == (np.uint16, (128, 128))
    assert np.abs(result - sharp).mean() < 0.7 * np.abs(image - sharp).mean()


def test_floats_are_clamped():
    image = np.array([[-1.0, 0.5, 1.7]])
    result = Engine(stub_chain(Stub()), device="cpu").run(image).pixels
    assert result.dtype == np.float32
    assert result.tolist() == [[0.0, 0.25, 0.5]]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"device": "gpu"}, "device: got 'gpu', expected auto or what this machine has: cpu"),
        ({"precision": "fp8"}, "precision: got 'fp8', expected one of auto, fp32, fp16, bf16, int8"),
        ({"tile": -1}, "tile: got -1, expected pixels, 0 for the whole image, or auto"),
    ],
)
def test_unknown_options_are_refused(option, text):
    with pytest.raises(ConfigError, match=text):
        Engine(stub_chain(Stub()), **option)


def as_frames(*images: np.ndarray) -> Tensor:
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images])


@pytest.mark.parametrize("tile", [0, 32])
def test_frames_are_restored_as_images_are(tile):
    chain, images = (
        chain_of(*CHAINS["default"]),
        [noise_image(43, 71, "float32"), noise_image(43, 71, "float32")[::-1].copy()],
    )
    result = Engine(chain, device="cpu", tile=tile).run_frames(as_frames(*images))
    assert tuple(result.seconds) == chain.names
    for came, image in zip(result.pixels, images, strict=True):
        expected = Engine(chain, device="cpu").run(image).pixels
        assert difference(came.permute(1, 2, 0).numpy(), expected) <= 1e-5


class TooMany(Stub):
    """Runs out of memory with more than two frames."""

    def forward(self, image: Tensor) -> Tensor:
        if len(image) > 2:
            raise MemoryError
        return image / 2


def test_full_memory_halves_the_batch_before_the_tile():
    frames = torch.rand(5, 3, 16, 16)
    engine = Engine(stub_chain(TooMany()), device="cpu", tile=0)
    result = engine.run_frames(frames)
    assert (result.pixels == frames / 2).all()
    assert (result.tile, result.memory_retries) == (0, 1)
    assert engine.run_frames(frames).memory_retries == 0


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    path = tmp_path / "chain.yaml"
    path.write_text("stages:\n  - {stage: unsharp_mask, amount: 0.5}\n  - {stage: bicubic, scale: 2}\n")
    return path


def test_an_engine_is_loaded_from_a_file(chain_file: Path) -> None:
    image = noise_image().astype(np.float64) / 255
    result = Engine.load(chain_file, device="cpu", precision="fp32", tile=16).run(image).pixels
    assert (result.shape, result.dtype) == ((2 * image.shape[0], 2 * image.shape[1], 3), np.float32)
    assert np.array_equal(result, Engine.load(str(chain_file), device="cpu").run(image).pixels)


def test_other_strengths_share_the_prepared_stages(chain_file: Path) -> None:
    engine = Engine.load(chain_file, device="cpu")
    other = engine.with_strengths({"unsharp_mask": 0.0})
    assert other.chain.stages == engine.chain.stages
    assert engine.chain.strengths == (1.0, 1.0)
    image = noise_image()
    assert not np.array_equal(other.run(image).pixels, engine.run(image).pixels)
    with pytest.raises(ConfigError, match="the chain has no stage 'dncnn'"):
        engine.with_strengths({"dncnn": 0.5})
