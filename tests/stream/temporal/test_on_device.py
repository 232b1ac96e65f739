"""A stream whose history lies on the device: what the engine is told, frame by frame."""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import FakeEngine
from numpy.typing import NDArray

from models import Advance
from stream import Frame, Stylizer
from stream.temporal import Decision, OnDevice, TemporalSettings
from stream.temporal.blend import history_weight

Data = NDArray[np.uint8]
GRID = (8, 8)
STEP_S = 0.04


def frames(count: int = 4) -> list[Data]:
    """A soft picture that glides: no two are equal, and none is a cut."""
    random = np.random.default_rng(0).uniform(0, 255, (64, 64, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(random, (0, 0), 4, borderType=cv2.BORDER_REFLECT)
    return [np.roll(soft, index, 1).astype(np.uint8) for index in range(count)]


def told(temporal: OnDevice, data: Data, time_s: float, stability: float = 0.5) -> Advance:
    decision = temporal.decide(data, GRID, time_s, stability)
    assert decision.advance is not None
    return decision.advance


@pytest.mark.parametrize("looks", [False, True])
def test_a_stream_starts_and_goes_on(looks: bool) -> None:
    temporal = OnDevice(looks=looks)
    first, second, third = (
        told(temporal, data, STEP_S * index) for index, data in enumerate(frames(3))
    )
    assert (first.starts, second.starts, third.starts) == (1, 0, 0)
    assert third.dt_s == pytest.approx(STEP_S)
    assert third.kept == pytest.approx(
        history_weight(STEP_S, 0.5, TemporalSettings().device_memory)
    )


def test_a_gap_and_a_reset_start_afresh() -> None:
    temporal, (a, b, c, d) = OnDevice(), frames(4)
    told(temporal, a, 0.0)
    assert told(temporal, b, 1.5).starts == 1
    assert told(temporal, c, 1.54).starts == 0
    temporal.reset()
    assert told(temporal, d, 1.58).starts == 1


def test_the_same_frame_again_is_not_painted() -> None:
    temporal, (a, b) = OnDevice(), frames(2)
    first = temporal.decide(a, GRID, 0.0, 0.5)
    shown = temporal.mix(np.full_like(a, 7), first)
    again = temporal.decide(a.copy(), GRID, STEP_S, 0.5)
    assert again.is_still and again.canvas is not None and again.canvas.shown is shown
    assert told(temporal, b, 2 * STEP_S).dt_s == pytest.approx(2 * STEP_S)  # since it painted


def test_the_settings_reach_the_device() -> None:
    settings = TemporalSettings(
        memory=2, settle_s=0.5, cut_difference=40, agree_levels=3, most_contrast=0.2
    )
    advance = told(OnDevice(settings), frames(1)[0], 0.0)
    assert advance[4:] == (0.5, 40, 3, 0.2, 0)


def test_a_change_by_a_little_repaints_what_rests() -> None:
    for looks in (False, True):
        temporal, (a, *_) = OnDevice(looks=looks), frames(1)
        told(temporal, a, 0.0)
        temporal.repaint()
        advance = told(temporal, a, STEP_S)
        assert (advance.starts, advance.repaints) == (0, 1)


def test_without_stability_nothing_is_told() -> None:
    assert OnDevice().decide(frames(1)[0], GRID, 0.0, 0.0) == Decision()


class TellingEngine(FakeEngine):
    """Says what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def begin(self, *given: Any, remembered: Any = None, **options: Any) -> Any:
        self.told.append(remembered)
        return super().begin(*given, **options)


def painted(stylizer: Stylizer, datas: list[Data]) -> list[Frame]:
    given = [Frame(data, index, Fraction(1, 25)) for index, data in enumerate(datas)]
    shown = [one for frame in given for one in stylizer.process(frame)]
    return [*shown, *stylizer.process(None)]


@pytest.mark.parametrize("blend", ["latent", "both"])
@pytest.mark.parametrize(
    "options", [{}, {"look_ahead": True}, {"by_shots": True}, {"batch": 3}], ids=str
)
def test_each_painted_frame_is_told_of_one_memory(blend: Any, options: Any) -> None:
    engine, data = TellingEngine(), frames(5)
    shown = painted(Stylizer(engine, blend=blend, **options), data)  # type: ignore[arg-type]
    assert len(shown) == len(data)
    assert len({id(each.memory) for each in engine.told}) == 1
    advances = [advance for each in engine.told for advance in each.advances]
    counted = [advance for advance in advances if advance.counts]
    assert len(counted) == len(data)
    assert [advance.starts for advance in counted] == [1, 0, 0, 0, 0]
    if "batch" in options:
        assert [len(each.advances) for each in engine.told] == [3, 3]


def test_a_cut_of_a_film_starts_afresh() -> None:
    engine, dark = TellingEngine(), [data // 4 for data in frames(4)]
    data = [*dark[:2], *(255 - each for each in dark[2:])]
    painted(Stylizer(engine, blend="latent", by_shots=True), data)  # type: ignore[arg-type]
    assert [each.advances[0].starts for each in engine.told] == [1, 0, 1, 0]


def test_pictures_are_blended_where_nothing_else_was_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    engine = TellingEngine()
    stylizer = Stylizer(engine)  # type: ignore[arg-type]
    painted(stylizer, frames(2))
    assert stylizer.blend == "picture" and engine.told in ([], [None, None])
    assert "stability blends by 'picture': no other was measured with fake on cpu" in caplog.text


def test_an_unknown_blend_is_refused() -> None:
    with pytest.raises(ValueError, match="got blend=mean, expected auto, picture, latent, both"):
        Stylizer(FakeEngine(), blend="mean")  # type: ignore[arg-type]
