"""``strength: auto``: chosen once for a whole image, the same for tiles, and reported."""

import numpy as np
import pytest
import torch

from pipeline.chain.chain import Chain
from pipeline.chain.config import ChainConfig
from pipeline.condition import strengths
from pipeline.condition.strengths import StrengthTable
from pipeline.engine.condition import measure_image
from pipeline.engine.engine import Engine
from pipeline.errors import ConfigError
from stages.clahe import CLAHEConfig
from stages.stage import Stage
from stages.unsharp_mask import UnsharpMaskConfig
from stages.upscale import BicubicConfig

CHAIN = ChainConfig(stages=(UnsharpMaskConfig(strength="auto", amount=1.0), BicubicConfig(scale=2)))


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sharpen as strongly as there is noise, which is easy to make."""
    tables = {"unsharp_mask": StrengthTable(axes={"noise": (0, 20)}, values=(0.0, 1.0))}
    monkeypatch.setattr(strengths, "load_tables", lambda: tables)


def photo(noise: float, height: int = 120, width: int = 150) -> np.ndarray:
    pixels = np.random.default_rng(0).normal(128, noise, (height, width, 3))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def engine(config: ChainConfig = CHAIN, **options: object) -> Engine:
    return Engine(Chain.build(config), device="cpu", **options)  # type: ignore[arg-type]


def test_a_strength_is_chosen_by_the_image_and_reported() -> None:
    weak, strong = (engine().run(photo(noise)) for noise in (4, 12))
    assert weak.strengths["unsharp_mask"] == pytest.approx(0.2, abs=0.06)
    assert strong.strengths["unsharp_mask"] == pytest.approx(0.6, abs=0.06)
    assert weak.strengths["bicubic"] == 1
    assert weak.condition == measure_image(photo(4))


def test_the_result_is_that_of_the_chosen_strength() -> None:
    automatic = engine().run(photo(12))
    given = engine().with_strengths(automatic.strengths).run(photo(12))
    np.testing.assert_array_equal(automatic.pixels, given.pixels)
    assert given.condition is None


def test_tiles_and_the_whole_choose_alike() -> None:
    whole, tiled = (engine(tile=tile).run(photo(12)) for tile in (0, 64))
    assert tiled.tile == 64
    assert tiled.strengths == whole.strengths
    np.testing.assert_array_equal(tiled.pixels, whole.pixels)


def test_at_strength_zero_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(tile=0)  # which is not measured by running stages

    def refuse(self: Stage, image: torch.Tensor) -> torch.Tensor:
        raise AssertionError("was computed")

    monkeypatch.setattr(type(made.chain.stages[0]), "forward", refuse)
    assert made.run(photo(0)).strengths["unsharp_mask"] == 0


def test_frames_follow_the_first() -> None:
    frames = [torch.from_numpy(photo(noise)).permute(2, 0, 1)[None].float() / 255 for noise in (12, 4)]
    together, alone = engine().run_frames(torch.cat(frames)), engine().run_frames(frames[0])
    assert together.strengths == alone.strengths


def test_given_strengths_replace_automatic_ones_and_the_reverse() -> None:
    assert engine().with_strengths({"unsharp_mask": 0.5}).run(photo(12)).strengths["unsharp_mask"] == 0.5
    given = engine(ChainConfig(stages=(UnsharpMaskConfig(),))).with_strengths({"unsharp_mask": "auto"})
    assert given.run(photo(12)).strengths["unsharp_mask"] == pytest.approx(0.6, abs=0.06)


def test_the_tables_are_part_of_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    given = CHAIN.with_strengths({"unsharp_mask": 1.0})
    before = CHAIN.fingerprint(), given.fingerprint()
    monkeypatch.setattr("pipeline.chain.config.tables_sha256", lambda: "other tables")
    assert CHAIN.fingerprint() != before[0]
    assert given.fingerprint() == before[1]


def test_stages_that_nothing_is_known_of_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength: clahe: got auto, but nothing is known of clahe"):
        ChainConfig(stages=(CLAHEConfig(),)).with_strengths({"clahe": "auto"})
