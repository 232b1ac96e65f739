"""The stability benchmark on a model that paints twice the frame's sides and carries its noise."""

from pathlib import Path

import numpy as np
import pytest
import stability_methods as methods
from miniature import save_bundled_like
from plain_pipeline import PlainPipeline
from random_models import random_engine
from roofline import count_work
from stability_methods import RememberingEngine
from stability_sequences import Clip, Picture
from stability_statistics import statistics_lock
from torch import Tensor, device, float32, from_numpy

from models import Style, load_engine, moved_noise
from models.carried_noise import NOISE_BLOCK
from stream.temporal.noise import places

SIDE_PX = 64
STYLE = Style("oil", 0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save_bundled_like(tmp_path_factory.mktemp("stability") / "stem", stem=True))


@pytest.fixture(scope="module")
def engine(folder: Path) -> RememberingEngine:
    return RememberingEngine(load_engine(str(folder), device="cpu", acceleration="off"))


@pytest.fixture(scope="module")
def clip() -> Clip:
    small = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    wide = small.repeat(12, 0).repeat(12, 1)
    pictures = [np.ascontiguousarray(wide[:SIDE_PX, 4 * k : 4 * k + SIDE_PX]) for k in range(3)]
    return Clip("pan", pictures, [None] * 3, [None] * 3, pictures, is_moving=True)


def test_every_way_has_pictures_of_the_frames_size(engine: RememberingEngine, clip: Clip) -> None:
    ways = {
        "ours": methods.ours(engine, clip, STYLE, 0.5),
        "ahead": methods.ours(engine, clip, STYLE, 0.5, look_ahead=True),
        "latent average": methods.latent_average(engine, clip, STYLE),
        "statistics lock": statistics_lock(engine, clip, STYLE),
    }
    for pictures in ways.values():
        assert [picture.shape for picture in pictures] == [(SIDE_PX, SIDE_PX, 3)] * 3


def test_a_frame_is_remembered_with_its_own_noise(engine: RememberingEngine, clip: Clip) -> None:
    noise, *rest = methods.asked(engine, STYLE, clip.pictures[0])
    moved = moved_noise(noise, _along())

    once, other, again = (
        engine.paint(clip.pictures[0], each, *rest) for each in (noise, moved, noise.clone())
    )

    assert again is once  # looked up, though it is another tensor
    assert not np.array_equal(once, other)


def _along() -> Tensor:
    side = SIDE_PX // 8 * NOISE_BLOCK
    return from_numpy(places(np.full((side, side, 2), 3, np.float32)))


def test_the_plain_pipeline_paints_what_the_engine_paints(folder: Path, clip: Clip) -> None:
    own = load_engine(str(folder), device="cpu", acceleration="off")
    given = methods.asked(RememberingEngine(own), STYLE, clip.pictures[0])
    plain: Picture = PlainPipeline(folder, own, STYLE)(clip.pictures[0])
    ours = own.paint(clip.pictures[0], *given)
    assert plain.shape == ours.shape == (2 * SIDE_PX, 2 * SIDE_PX, 3)
    assert np.abs(plain.astype(int) - ours).max() <= 1


def test_random_weights_of_the_bundled_make_paint_and_are_counted() -> None:
    made = random_engine("bundled", device("cpu"), float32)
    given = methods.asked(RememberingEngine(made), STYLE, np.zeros((32, 32, 3), np.uint8))
    assert made.paint(np.zeros((32, 32, 3), np.uint8), *given).shape == (64, 64, 3)
    one, four = (count_work(made, STYLE, (32 * n, 32 * n), 1) for n in (1, 2))
    assert four.gflop > 3 * one.gflop > 0
    assert four.weights_mb == one.weights_mb
