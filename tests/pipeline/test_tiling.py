import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tiling import (
    Footprint,
    Region,
    Span,
    needed_regions,
    padded_size,
    scales_after,
    scales_before,
    split,
    tiled_groups,
    total_halo,
    total_multiple_of,
    total_scale,
)

footprints = st.lists(
    st.builds(Footprint, st.integers(1, 4), st.sampled_from([1, 2, 3, 4, 8, 16]), st.integers(0, 40)),
    min_size=1,
    max_size=4,
)
# A length and a part of it.
spans = (
    st.lists(st.integers(0, 300), min_size=3, max_size=3, unique=True)
    .map(sorted)
    .map(lambda ends: (ends[2], Span(ends[0], ends[1])))
)


def test_scale_is_the_product():
    assert total_scale([Footprint(2, 1, 0), Footprint(1, 1, 0), Footprint(3, 1, 0)]) == 6


def test_halos_add_up_in_pixels_of_the_image():
    assert total_halo([Footprint(2, 1, 5), Footprint(1, 1, 3)]) == 5 + 2


def test_a_stage_that_needs_the_whole_image_makes_the_chain_need_it():
    assert total_halo([Footprint(1, 1, 5), Footprint(1, 1, None)]) is None


@pytest.mark.parametrize(
    ("halos", "groups"),
    [
        ([3, 0], [(0, 2)]),
        ([None], [(0, 1)]),
        ([3, None, 0, 9], [(0, 1), (1, 2), (2, 4)]),
        ([None, None], [(0, 1), (1, 2)]),
    ],
)
def test_a_stage_that_needs_the_whole_image_runs_alone(halos, groups):
    found = tiled_groups([Footprint(1, 1, halo) for halo in halos])
    assert [(group.start, group.stop) for group in found] == groups


@pytest.mark.parametrize(
    ("chain", "multiple"),
    [
        ([Footprint(1, 4, 0), Footprint(1, 6, 0)], 12),
        ([Footprint(2, 1, 0), Footprint(1, 8, 0)], 4),
        ([Footprint(3, 1, 0), Footprint(1, 8, 0)], 8),
        ([Footprint(4, 1, 0), Footprint(1, 2, 0)], 1),
    ],
)
def test_multiple_of_counts_the_scale_before_a_stage(chain, multiple):
    assert total_multiple_of(chain) == multiple


@given(footprints)
def test_multiple_of_is_the_smallest_that_suits_every_stage(chain):
    def suits(length):
        return all(
            length * scale % stage.multiple_of == 0 for stage, scale in zip(chain, scales_before(chain), strict=True)
        )

    assert next(length for length in itertools.count(1) if suits(length)) == total_multiple_of(chain)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70))
def test_tiles_cover_every_pixel_once(height, width, tile):
    hits = np.zeros((height, width), int)
    for region in split(height, width, tile):
        hits[region.slices] += 1
    assert (hits == 1).all()


@given(st.integers(1, 5000), st.integers(1, 600))
def test_tiles_are_as_few_as_can_be_and_alike(length, tile):
    *parts, last = [region.columns.length for region in split(1, length, tile)]
    assert len(parts) + 1 == -(-length // tile)
    assert len(set(parts)) <= 1
    assert 0 < last <= max(parts, default=last) <= tile


def test_tile_zero_is_the_whole_image():
    assert list(split(7, 5, 0)) == [Region(Span(0, 7), Span(0, 5))]


@given(footprints, spans)
def test_every_stage_is_given_what_it_needs_and_nothing_that_is_not_there(chain, span):
    length, tile = span
    given_rows = _rows(chain, length, tile)
    assert given_rows[-1] == tile.scaled(total_scale(chain))
    for stage, scale, outer, made in zip(chain, scales_before(chain), given_rows[:-1], given_rows[1:], strict=True):
        end = padded_size(length, chain) * scale
        assert 0 <= outer.start < outer.stop <= end
        assert outer.start % stage.multiple_of == outer.stop % stage.multiple_of == 0
        assert outer.start <= max(0, made.start // stage.scale - stage.halo)
        assert outer.stop > min(end - 1, (made.stop - 1) // stage.scale + stage.halo)


@given(footprints, spans)
def test_the_tile_itself_is_made_by_every_stage(chain, span):
    length, tile = span
    for made, scale in zip(_rows(chain, length, tile)[1:], scales_after(chain), strict=True):
        assert made.start <= tile.start * scale
        assert made.stop >= tile.stop * scale


@given(footprints, spans)
def test_padding_is_less_than_the_multiple(chain, span):
    length, tile = span
    rows = _rows(chain, length, tile)[0]
    assert rows.start < length
    assert rows.stop < length + total_multiple_of(chain)


def _rows(chain: list[Footprint], length: int, tile: Span) -> list[Span]:
    return [region.rows for region in needed_regions(Region(tile, tile), chain, length, length)]


def test_a_stage_without_halo_is_given_the_whole_image():
    chain = [Footprint(2, 1, 3), Footprint(1, 4, None), Footprint(1, 1, 2)]
    regions = needed_regions(Region(Span(8, 16), Span(0, 8)), chain, 30, 20)
    assert regions[1] == Region(Span(0, 60), Span(0, 40))
    assert regions[0] == Region(Span(0, 30), Span(0, 20))
