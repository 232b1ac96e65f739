"""Bytes to an image on the device, and back: every value, every layout, refusals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from miniature import make_engine, make_lcm

from models import Engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    return make_engine(make_lcm())


def test_every_byte_survives_the_way_to_an_image_and_back(engine: Engine) -> None:
    data = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = engine.to_image(data)
    assert image.shape == (1, 3, 16, 16) and image.dtype == torch.float32
    assert image.min() == -1 and image.max() == 1
    assert np.array_equal(engine.to_data(image), data)


def test_data_is_rounded_and_clamped(engine: Engine) -> None:
    values = torch.tensor([-7.0, -1.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1, 1.0, 7.0])
    data = engine.to_data(values.expand(1, 3, 1, 6))
    assert data[0, :, 0].tolist() == [0, 0, 1, 0, 255, 255]


@pytest.mark.parametrize(
    "change",
    [lambda data: data[::-1], lambda data: data[:, ::2], lambda data: np.asfortranarray(data)],
    ids=["upside-down", "strided", "fortran"],
)
def test_any_memory_layout_is_taken(
    engine: Engine, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    data = np.random.randint(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(engine.to_data(engine.to_image(change(data))), change(data))


def test_read_only_data_is_taken_and_left_alone(engine: Engine) -> None:
    data = np.full((8, 8, 3), 7, dtype=np.uint8)
    data.flags.writeable = False
    engine.to_image(data)
    assert (data == 7).all()


@pytest.mark.parametrize(
    "data", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)]
)
def test_data_of_another_kind_is_refused(engine: Engine, data: Any) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        engine.to_image(data)
