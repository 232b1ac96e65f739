"""Governor: on a simulated engine whose speed changes, the output holds its rate and stays calm."""

from itertools import pairwise

import pytest
from simulation import PERIOD_S, Machine, simulate

from stream.live.governor import Effort, Governor, make_rungs

RUNGS = make_rungs("latency", 2, 512, 8)


def at_full(base_s: float) -> Machine:
    """A machine that paints in `base_s` seconds at best effort."""
    return Machine(lambda now_s: base_s)


# The ladder


def test_ladder_gives_up_steps_then_size_then_frames() -> None:
    assert RUNGS[:5] == (
        Effort(2, 512),
        Effort(1, 512),
        Effort(1, 384),
        Effort(1, 384, 2),
        Effort(1, 384, 3),
    )


def test_quality_keeps_steps_and_size() -> None:
    rungs = make_rungs("quality", 2, 512, 8)
    assert {(rung.steps, rung.short_side_px) for rung in rungs} == {(2, 512)}
    assert [rung.every for rung in rungs[:3]] == [1, 2, 3]


def test_off_gives_up_nothing() -> None:
    governor = Governor(make_rungs("off", 2, 512, 8), PERIOD_S)
    assert all(governor.observe(9.0, float(now_s)) is None for now_s in range(100))
    assert governor.effort == Effort(2, 512)


def test_sizes_stay_multiples_and_do_not_repeat() -> None:
    rungs = make_rungs("latency", 1, 64, 32)
    assert [rung.short_side_px for rung in rungs[:3]] == [64, 32, 32]


# Holding the rate


@pytest.mark.parametrize("base_s", [0.01, 0.03, 0.05, 0.08, 0.15, 0.4, 1.0])
def test_any_machine_holds_24_within_two_seconds(base_s: float) -> None:
    run = simulate(at_full(base_s), Governor(RUNGS, PERIOD_S), 20)
    assert run.fps(2, 20) == pytest.approx(24, abs=0.5)


@pytest.mark.parametrize("base_s", [0.03, 0.06, 0.2])
def test_steady_load_brings_few_decisions(base_s: float) -> None:
    run = simulate(at_full(base_s), Governor(RUNGS, PERIOD_S), 120)
    assert len(run.decisions) <= 8
    assert len([at_s for at_s, _ in run.decisions if at_s > 60]) <= 2


def test_a_step_in_load_is_met_within_two_seconds() -> None:
    run = simulate(
        Machine(lambda now_s: 0.02 if now_s < 10 else 0.12), Governor(RUNGS, PERIOD_S), 30
    )
    assert run.fps(1, 10) == pytest.approx(24, abs=0.5)
    assert run.fps(12, 30) == pytest.approx(24, abs=0.5)


def test_what_was_given_up_is_taken_back() -> None:
    machine = Machine(lambda now_s: 0.1 if now_s < 5 else 0.01)
    governor = Governor(RUNGS, PERIOD_S)
    simulate(machine, governor, 60)
    assert governor.effort == RUNGS[0]


def test_a_slow_rise_is_followed() -> None:
    run = simulate(Machine(lambda now_s: 0.02 + 0.002 * now_s), Governor(RUNGS, PERIOD_S), 60)
    for start_s in range(2, 58, 4):
        assert run.fps(start_s, start_s + 4) == pytest.approx(24, abs=1.0)


def test_jitter_is_no_reason_to_swing() -> None:
    machine = Machine(lambda now_s: 0.022, jitter=0.15)
    run = simulate(machine, Governor(RUNGS, PERIOD_S), 60)
    assert run.fps(2, 60) == pytest.approx(24, abs=0.5)
    assert len(run.decisions) <= 4


def test_one_hiccup_is_no_load() -> None:
    governor = Governor(RUNGS, PERIOD_S)
    times_s = [0.02, 0.02, 0.4, *[0.02] * 60]
    assert all(governor.observe(time_s, float(i)) is None for i, time_s in enumerate(times_s))


def test_a_way_up_that_fails_is_tried_less_and_less() -> None:
    """Just too slow for the rung above, by prediction just good enough: the worst case."""

    def hidden_cost_s(effort: Effort) -> float:
        return 0.05 if effort == RUNGS[0] else 0.01

    run = simulate(Machine(lambda now_s: 1.0, cost_s=hidden_cost_s), Governor(RUNGS, PERIOD_S), 300)
    ups = [at_s for at_s, decision in run.decisions if decision.after == RUNGS[0]]
    assert len(ups) <= 7
    assert all(late - early >= 2.5 for early, late in pairwise(ups))


def test_each_decision_says_why() -> None:
    run = simulate(at_full(0.12), Governor(RUNGS, PERIOD_S), 5)
    _, first = run.decisions[0]
    assert str(first).startswith("2 steps, 512 px, every frame -> ")
    assert "the median leaves 42 ms" in str(first)


def test_the_painting_of_a_new_style_says_nothing() -> None:
    governor = Governor(RUNGS, PERIOD_S)
    decisions = [governor.observe(duration_s, 0.0) for duration_s in (0.01, 0.01, 0.01, 0.01)]
    governor.disturbed()
    assert [*decisions, governor.observe(5.0, 1.0)] == [None] * 5


@pytest.mark.parametrize(
    ("steps", "dropped_s", "new_steps", "expected"),
    [
        (4, 0.1, 1, Effort(1, 384)),  # no frames are left out because steps are asked for no more
        (1, 0.05, 4, Effort(1, 384)),
        (4, 0.01, 2, Effort(2, 512)),
        (4, 0.01, 8, Effort(8, 512)),
    ],
)
def test_other_steps_are_no_reason_to_give_up_more(
    steps: int, dropped_s: float, new_steps: int, expected: Effort
) -> None:
    governor = Governor(make_rungs("latency", steps, 512, 8), PERIOD_S)
    now_s = 0.0
    while dropped_s > PERIOD_S and governor.effort != Effort(1, 384):
        assert governor.effort.every == 1
        governor.observe(PERIOD_S, now_s)
        now_s += PERIOD_S
    governor.rebase(make_rungs("latency", new_steps, 512, 8))
    assert governor.effort == expected


def test_other_steps_of_the_users_start_a_new_ladder() -> None:
    governor = Governor(RUNGS, PERIOD_S)
    simulate(at_full(0.4), governor, 5)
    every = governor.effort.every
    governor.rebase(make_rungs("latency", 1, 512, 8))
    assert governor.effort == Effort(1, 384, every)
