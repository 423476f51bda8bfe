import numpy as np
import pytest

from pipeline.inspection.heat_pictures import contact_sheet, field_picture, overlay


def test_heat_shines_where_it_is_and_leaves_the_image_elsewhere() -> None:
    heat = np.zeros((30, 40), np.float32)
    heat[5:9, 30:36] = 3.0
    picture = overlay(np.full((30, 40, 3), 0.4, np.float32), heat)
    hot = picture.max(axis=2) - picture.min(axis=2).astype(int) > 60
    assert (hot == (heat > 0)).all()
    assert len(np.unique(picture[~hot])) == 1


def test_no_heat_is_no_mistake() -> None:
    assert np.ptp(overlay(np.full((8, 8, 3), 0.5, np.float32), np.zeros((8, 8), np.float32))) == 0


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_sheet_holds_every_picture(count: int) -> None:
    pictures = [np.full((60, 90, 3), 40 + 30 * index, np.uint8) for index in range(count)]
    sheet = contact_sheet("title", [(f"level {index}", picture) for index, picture in enumerate(pictures)])
    assert all((sheet == 40 + 30 * index).all(axis=2).sum() > 90_000 for index in range(count))


def test_squares_stand_around_the_middle() -> None:
    field = np.zeros((41, 41), np.float32)
    field[20, 20] = 1
    picture = field_picture("title", field, halo=16, effective=4)
    for colour, radius in (((255, 255, 255), 16), ((0, 230, 230), 4)):
        inside = (picture[34:-10, 10 : 10 + 41 * 12] == colour).all(axis=2)
        rows, columns = inside.nonzero()
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == (2 * radius + 1) * 12
        assert rows.min() + rows.max() == columns.min() + columns.max() == 41 * 12 - 1
    assert not (field_picture("title", field, halo=None, effective=4)[34:-10, 10:500] == 255).all(axis=2).any()
