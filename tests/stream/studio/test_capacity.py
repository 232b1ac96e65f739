"""How many people an engine serves, and how large their pictures are."""

from stream.studio.capacity import camera_size, seats_for


def test_how_many_people_an_engine_serves() -> None:
    assert [seats_for(rate) for rate in (0.5, 9, 30, 1000)] == [1, 1, 4, 16]
    assert camera_size(256) == (512, 288)
