import numpy as np
import pytest
import torch
from PIL import Image

from stages.upscale import BicubicConfig, LanczosConfig


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("config", "filter_", "support"),
    [(BicubicConfig, Image.Resampling.BICUBIC, 2), (LanczosConfig, Image.Resampling.LANCZOS, 3)],
)
def test_equals_pillow(config: type, filter_: Image.Resampling, support: int, scale: int) -> None:
    """The same kernels; only the border is treated in another way."""
    image = np.random.default_rng(0).random((13, 17), dtype=np.float32)
    expected = Image.fromarray(image).resize((17 * scale, 13 * scale), filter_)
    result = config(scale=scale).build()(torch.from_numpy(image).expand(1, 3, -1, -1))[0, 1]
    inner = slice(support * scale, -support * scale)
    np.testing.assert_allclose(result[inner, inner], np.asarray(expected)[inner, inner], atol=1e-5)


def test_a_part_upscales_to_a_part_of_the_whole() -> None:
    image = torch.rand(1, 3, 8, 3000)
    stage = LanczosConfig(scale=3).build()
    torch.testing.assert_close(stage(image[..., 2900:])[..., 9:], stage(image)[..., 2903 * 3 :], atol=1e-6, rtol=0)


def test_flat_colour_stays() -> None:
    image = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(LanczosConfig().build()(image), torch.full((1, 3, 16, 16), 0.3))
