"""Memory limits, out-of-memory detection and the tile sizes that follow."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.device.memory import SHARE_OF_FREE, free_memory, is_out_of_memory, memory_for_tiles
from pipeline.engine.tile_size import bytes_per_pixel, half_of, largest_tile
from pipeline.tiling import TILE_STEP, Footprint, equal_part
from stages.stage import Stage

CPU = torch.device("cpu")
CHAIN = [Footprint(1, 2, 20), Footprint(2, 1, 5)]
COSTS = [100.0, 500.0]


def test_a_stage_takes_its_input_and_what_lives_beside_it():
    class TwoLayers(Stage):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 32, 1), nn.ReLU(inplace=True), nn.Conv2d(32, 64, 1))

        def forward(self, image: Tensor) -> Tensor:
            return self.layers(image)

    assert bytes_per_pixel(TwoLayers(), CPU) == 4 * (3 + 32 + 64)


def test_a_stage_that_does_not_fit_at_all_takes_infinitely_much():
    class Endless(Stage):
        def forward(self, image: Tensor) -> Tensor:
            return image.new_empty(2**60)

    assert bytes_per_pixel(Endless(), CPU) == math.inf


def test_a_small_image_is_restored_whole():
    assert largest_tile(480, 640, CHAIN, COSTS, 10 * 2**30, 10 * 2**30, math.inf) >= 640


def test_the_tile_grows_with_the_memory_not_with_the_image():
    tiles = [
        largest_tile(4000, 6000, CHAIN, COSTS, size * 2**20, size * 2**20, math.inf) for size in (50, 100, 400, 1600)
    ]
    assert tiles == sorted(set(tiles))
    tile = largest_tile(40000, 60000, CHAIN, COSTS, 400 * 2**20, 400 * 2**20, math.inf)
    assert equal_part(40000, tile) == equal_part(4000, tiles[2])


def test_the_hungriest_stage_stays_within_its_share_of_the_memory():
    def taken(tile: int) -> int:
        return 500 * (equal_part(4000, tile) + 10) * (equal_part(6000, tile) + 10)

    available = 400 * 2**20
    tile = largest_tile(4000, 6000, CHAIN, COSTS, available, available, math.inf)
    assert taken(tile) <= available * SHARE_OF_FREE < taken(tile + TILE_STEP)


def test_more_than_planned_is_taken_only_where_overlaps_would_double_the_work():
    def times(tile: int) -> float:
        return (equal_part(4000, tile) + 64) * (equal_part(6000, tile) + 64) / equal_part(4000, tile) ** 2

    far, hungry = [Footprint(2, 1, 32)], [15_000.0]
    assert largest_tile(4000, 6000, far, hungry, 2**30, 2**30, math.inf) == 64
    tile = largest_tile(4000, 6000, far, hungry, 2**30, 2**34, math.inf)
    assert times(tile) <= 2 < times(tile - TILE_STEP)
    assert largest_tile(4000, 6000, far, hungry, 2**30, 2**30 * 1.5, math.inf) == 128
    assert largest_tile(4000, 6000, CHAIN, COSTS, 2**30, 2**34, math.inf) == largest_tile(
        4000, 6000, CHAIN, COSTS, 2**30, 2**30, math.inf
    )


def test_a_tile_is_no_longer_than_what_pays_unless_overlaps_would_double_the_work():
    assert largest_tile(10_000, 10_000, [Footprint(1, 1, 3)], [40.0], 2**30, 2**34, 1536) == 1536
    far = [Footprint(1, 1, 500)]
    assert largest_tile(10_000, 10_000, far, [1.0], 2**30, 2**34, 1536) > 1536


def test_where_nothing_fits_the_smallest_tile_is_tried():
    assert largest_tile(4000, 6000, CHAIN, COSTS, 1000, 1000, math.inf) == 64


def test_halves_end_at_64():
    tile: int | None = 6000
    tiles = []
    while (tile := half_of(tile)) is not None:
        tiles.append(tile)
    assert tiles == [3008, 1504, 768, 384, 192, 96, 64]


def test_real_exhaustion_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(RuntimeError("GET was unable to find an engine to execute this computation"))
    assert not is_out_of_memory(RuntimeError("sizes of tensors must match"))


@pytest.mark.parametrize(("limit", "free"), [("max", 3 * 2**30), (str(2**30), 2**30), (str(2**33), 3 * 2**30)])
def test_free_memory_of_a_cpu_is_the_systems_within_the_containers_limit(monkeypatch, limit, free):
    files = {"/proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 3145728 kB\n", "/sys/fs/cgroup/memory.max": limit}
    monkeypatch.setattr(Path, "is_file", lambda path: path.as_posix() in files)
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: files[path.as_posix()])
    assert free_memory(CPU) == free


def test_free_memory_of_a_cpu_is_half_of_the_installed_where_no_system_reports_it(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**20}.__getitem__)
    assert free_memory(CPU) == 2**31


@pytest.mark.parametrize(("free", "taken"), [(2**29, 2**29), (2**40, 2**30)])
def test_on_a_cpu_tiles_do_not_grow_without_end(monkeypatch, free, taken):
    monkeypatch.setattr("pipeline.device.memory.free_memory", lambda device: free)
    assert memory_for_tiles(CPU) == taken


@pytest.mark.parametrize("free", [2**30, 2**40])
def test_on_a_gpu_no_tensor_has_more_elements_than_32_bits_can_count(monkeypatch, free):
    monkeypatch.setattr("pipeline.device.memory.free_memory", lambda device: free)
    allowed = memory_for_tiles(torch.device("cuda")) * SHARE_OF_FREE
    assert allowed == pytest.approx(min(free * SHARE_OF_FREE, 2**31 * torch.float32.itemsize))
