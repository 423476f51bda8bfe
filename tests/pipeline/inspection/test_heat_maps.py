import numpy as np
import pytest

from pipeline.inspection.heat_maps import contact_sheet, overlay, receptive_field_plot, rendered


def test_heat_shines_where_it_is_and_leaves_the_image_elsewhere() -> None:
    heat = np.zeros((30, 40), np.float32)
    heat[5:9, 30:36] = 3.0
    image = overlay(np.full((30, 40, 3), 0.4, np.float32), heat)
    hot = image.max(axis=2) - image.min(axis=2).astype(int) > 60
    assert (hot == (heat > 0)).all()
    assert len(np.unique(image[~hot])) == 1


def test_no_heat_is_no_error() -> None:
    assert np.ptp(overlay(np.full((8, 8, 3), 0.5, np.float32), np.zeros((8, 8), np.float32))) == 0


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_sheet_holds_every_image(count: int) -> None:
    images = [np.full((60, 90, 3), 40 + 30 * index, np.uint8) for index in range(count)]
    sheet = rendered(contact_sheet("title", [(f"level {index}", image) for index, image in enumerate(images)]))
    assert sheet.dtype == np.uint8
    for index in range(count):
        shown = (np.abs(sheet.astype(int) - 40 - 30 * index) <= 1).all(axis=2)
        assert shown.sum() > 90_000


@pytest.mark.parametrize("shape", [(2, 3000, 3), (3000, 2, 3)])
def test_a_sheet_of_long_images_stays_small(shape: tuple[int, int, int]) -> None:
    sheet = rendered(contact_sheet("$title$", [("level_1$^", np.zeros(shape, np.uint8))] * 9))
    assert max(sheet.shape) < 2200


def test_squares_stand_around_the_middle() -> None:
    field = np.zeros((41, 41), np.float32)
    field[20, 20] = 1
    figure = receptive_field_plot("title", field, halo=16, effective=4)
    squares = {patch.get_label(): patch for patch in figure.axes[0].patches}
    for label, radius in (("halo", 16), ("effective radius", 4)):
        assert squares[label].get_xy() == (-radius - 0.5, -radius - 0.5)
        assert squares[label].get_width() == squares[label].get_height() == 2 * radius + 1
    assert rendered(figure).dtype == np.uint8
    (image,) = figure.axes[0].images
    assert image.get_extent() == [-20.5, 20.5, 20.5, -20.5]
    assert image.get_array()[20, 20] == 1


def test_an_unbounded_halo_has_no_square() -> None:
    figure = receptive_field_plot("title", np.ones((9, 9), np.float32), halo=None, effective=2)
    assert [patch.get_label() for patch in figure.axes[0].patches] == ["effective radius"]


def test_an_empty_field_is_drawn() -> None:
    assert rendered(receptive_field_plot("title", np.zeros((9, 9), np.float32), halo=2, effective=0)).ndim == 3
