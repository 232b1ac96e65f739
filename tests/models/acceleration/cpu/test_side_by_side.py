"""Frames painted side by side equal the frames painted one by one; a failure costs one picture."""

from collections.abc import Iterator

import numpy as np
import pytest

from models import Engine, Style, load_engine
from models.acceleration.cpu.openvino import OpenVinoCall, Request
from models.acceleration.cpu.side_by_side import CHECK_S, Lane, SideBySide

pytest.importorskip("openvino")

SIZE = (96, 64)
STYLE = Style("ink drawing", strength=0.6, seed=3)
WAYS = 2


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(False, id="floats"),
        pytest.param(True, id="integers", marks=pytest.mark.slow),
    ],
)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.acceleration.cpu.accelerate.is_better", lambda *_: request.param)
        patch.setenv("ALLAPRIMA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("models.acceleration.cpu.openvino_cache.physical_cores", lambda: WAYS)
        engine = load_engine("bundled", device="cpu")
    assert any("8-bit integers and" in note for note in engine.notes) == request.param
    yield engine
    engine.close()


def frames(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    small = random.integers(0, 256, (count, size[1] // 8, size[0] // 8, 3), np.uint8)
    return list(small.repeat(8, 1).repeat(8, 2))


def given(engine: Engine, style: Style = STYLE, size: tuple[int, int] = SIZE) -> tuple:
    return engine.noise(style, size), engine.encode_prompt(style), engine.schedule(style)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(np.float32) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_pictures_are_those_of_the_networks_one_by_one(engine: Engine, steps: int) -> None:
    style = Style("ukiyo-e", strength=0.6, num_inference_steps=steps)
    asked = given(engine, style)
    wanted = [engine.paint(data, *asked) for data in frames(5)]

    pending = [engine.begin(data, *asked, ahead=True) for data in frames(5)]

    for painting, picture in zip(pending, wanted, strict=True):
        assert psnr_db(painting(), picture) > 45


def test_pictures_do_not_depend_on_lane_or_order(engine: Engine) -> None:
    asked = given(engine)
    there = [engine.begin(data, *asked, ahead=True) for data in frames(5)]
    first = [painting() for painting in there]

    again = [engine.begin(data, *asked, ahead=True) for data in frames(6)[1:]]
    backwards = [painting() for painting in reversed(again)]

    for painted, picture in zip(first[1:], backwards[:0:-1], strict=True):
        assert (painted == picture).all()
    assert (there[0]() == first[0]).all()  # asked for again


@pytest.mark.slow
def test_style_and_size_change_between_frames_on_their_way(engine: Engine) -> None:
    data, wide = frames(1)[0], frames(1, (128, 64))[0]
    other = Style("neon", strength=0.6)

    one = engine.begin(data, *given(engine), ahead=True)
    two = engine.begin(data, *given(engine, other), ahead=True)
    three = engine.begin(wide, *given(engine, size=(128, 64)), ahead=True)

    assert psnr_db(one(), engine.paint(data, *given(engine))) > 45
    assert psnr_db(two(), engine.paint(data, *given(engine, other))) > 45
    assert three().shape == (128, 256, 3)  # the decoder doubles the sides
    assert np.abs(one().astype(int) - two()).mean() > 10


def test_a_size_that_no_frame_can_have_does_no_harm_to_the_next(engine: Engine) -> None:
    data = frames(1)[0]
    before = engine.begin(data, *given(engine), ahead=True)()
    with pytest.raises(ValueError, match="expected multiples"):
        engine.begin(np.zeros((50, 50, 3), np.uint8), *given(engine), ahead=True)
    assert (engine.begin(data, *given(engine), ahead=True)() == before).all()


def test_only_who_works_ahead_is_served_side_by_side(engine: Engine) -> None:
    assert (engine.in_flight(), engine.in_flight(ahead=True)) == (0, WAYS)
    engine.warm_up(SIZE, ahead=True)
    assert f"paints {WAYS} frames side by side, one thread each" in engine.notes


def test_what_fails_on_its_way_is_raised_by_its_picture_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = given(engine, Style("ink drawing", strength=0.6, seed=3, num_inference_steps=2))
    broken = asked[0][:1]  # no noise for the second step

    one, bad, two = (
        engine.begin(data, noise, *asked[1:], ahead=True)
        for data, noise in zip(frames(3), (asked[0], broken, asked[0]), strict=True)
    )

    assert one().shape == two().shape == (128, 192, 3)
    for _ in range(2):
        with pytest.raises(IndexError):
            bad()


def test_size_that_openvino_refuses_is_painted_one_by_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no plan for this shape")

    side_by_side, data = SideBySide(engine, WAYS), frames(1)[0]
    monkeypatch.setattr(engine, "side_by_side", side_by_side)
    monkeypatch.setattr(OpenVinoCall, "side_by_side", refuse)

    picture = engine.begin(data, *given(engine), ahead=True)()

    assert (picture == engine.paint(data, *given(engine))).all()
    assert engine.in_flight(ahead=True) == 0
    assert any("no plan for this shape" in note for note in engine.notes)


class Failing(Request):
    """A request whose inference fails: its callback is never called."""

    def __init__(self) -> None:
        self.checks = 0

    def start(self, inputs: object, then: object) -> None:
        pass

    def check(self) -> None:
        self.checks += 1
        raise RuntimeError("out of memory")


def test_inference_that_fails_is_no_hang(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.acceleration.cpu.side_by_side.CHECK_S", CHECK_S / 100)
    side_by_side = engine.side_by_side
    assert isinstance(side_by_side, SideBySide)
    broken = Failing()
    lane = Lane(broken, (broken, broken), broken)

    painting = lane.begin(side_by_side._run(frames(1)[0], *given(engine)))

    with pytest.raises(RuntimeError, match="out of memory"):
        painting()
    assert broken.checks == 1
