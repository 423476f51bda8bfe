"""Notes on many places are one line a kind."""

from pipeline.video.notes import one_line_a_kind


def test_places_are_counted():
    notes = [("a frame is late", "at 1 s"), ("data are damaged", "at 2 s"), ("a frame is late", "at 3 s")]
    assert one_line_a_kind(notes) == ["a frame is late, 2 times, first at 1 s", "data are damaged at 2 s"]
