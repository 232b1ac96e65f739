"""Stylizer: the way of one frame, what is made again when, and what is bit-identical to what."""

import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Breaks, FakeEngine, make_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import make_engine, make_lcm

from models import Style
from stream.frame import Frame
from stream.geometry import resize
from stream.stylizer.stylizer import Stylizer

PAINTING = Style(prompt="oil painting", strength=0.5, seed=7)


def paint_alone(frame: Frame, style: Style, size: tuple[int, int]) -> np.ndarray:
    """The plain per-frame path, written out: what stability 0 must equal bit for bit."""
    engine = FakeEngine()
    latents = engine.denoise(
        engine.encode(engine.to_image(resize(frame.data, size))),
        engine.noise(style, size),
        engine.encode_prompt(style),
        engine.schedule(style),
    )
    return resize(engine.to_data(engine.decode(latents)), frame.size)


def paint(stylizer: Stylizer, frames: list[Frame]) -> list[bytes]:
    return [out.data.tobytes() for frame in frames for out in stylizer.process(frame)]


def test_one_frame_in_gives_one_frame_out_with_its_time() -> None:
    frame = Frame(make_frames(1)[0].data, 1001, Fraction(1, 90_000), 3003, captured_at_s=5.0)

    (painted,) = Stylizer(FakeEngine(), PAINTING).process(frame)

    assert (painted.pts, painted.time_base, painted.duration) == (1001, Fraction(1, 90_000), 3003)
    assert painted.captured_at_s == 5.0
    assert painted.size == frame.size
    assert (painted.data != frame.data).any()


def test_source_frame_is_not_written_to() -> None:
    frame = make_frames(1)[0]
    frame.data.flags.writeable = False
    before = frame.data.tobytes()

    Stylizer(FakeEngine(), PAINTING).process(frame)

    assert frame.data.tobytes() == before


@pytest.mark.parametrize("size", [(64, 48), (65, 49), (1, 1), (300, 1), (1, 300), (200, 100)])
def test_stability_zero_equals_the_per_frame_path(size: tuple[int, int]) -> None:
    frames = make_frames(4, size)
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=0)

    painted = paint(stylizer, frames)

    model = stylizer.sizes(size).model
    assert painted == [paint_alone(frame, PAINTING, model).tobytes() for frame in frames]


def test_first_frame_equals_the_per_frame_path_at_any_stability() -> None:
    frames = make_frames(1)
    model = Stylizer(FakeEngine()).sizes(frames[0].size).model

    painted = paint(Stylizer(FakeEngine(), PAINTING, stability=1), frames)

    assert painted == [paint_alone(frames[0], PAINTING, model).tobytes()]


@pytest.mark.parametrize("stability", [0, 0.5, 1])
def test_two_runs_are_equal_byte_for_byte(stability: float) -> None:
    frames = make_frames(8) + [
        Frame(frame.data, 8 + index, frame.time_base)
        for index, frame in enumerate(make_frames(1) * 8)
    ]

    first, second = (
        paint(Stylizer(FakeEngine(), PAINTING, stability=stability), frames) for _ in range(2)
    )

    assert first == second


@pytest.mark.parametrize(
    ("output_size", "expected"), [("source", (300, 200)), ("model", (96, 64)), ((31, 17), (31, 17))]
)
def test_output_has_the_size_asked_for(output_size: object, expected: tuple[int, int]) -> None:
    (painted,) = Stylizer(FakeEngine(), output_size=output_size).process(
        make_frames(1, (300, 200))[0]
    )

    assert painted.size == expected


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.sampled_from([0.0, 0.7]))
@settings(max_examples=40, deadline=None)
def test_any_size_comes_out_as_it_went_in(size: tuple[int, int], stability: float) -> None:
    stylizer = Stylizer(FakeEngine(), stability=stability)

    assert [out.size for frame in make_frames(3, size) for out in stylizer.process(frame)] == [
        size
    ] * 3


class FineEngine(FakeEngine):
    """Paints with as many pixels a cell as it is told."""

    cell_sizes = (8, 12, 16)

    def __init__(self) -> None:
        super().__init__()
        self.painted: list[int | None] = []

    def picture(self, latents: torch.Tensor, cell_px: int | None = None) -> np.ndarray:
        self.painted.append(cell_px)
        data = super().picture(latents)
        side = (cell_px or self.cell_sizes[-1]) // 4
        return data[::4, ::4].repeat(side, 0).repeat(side, 1)


@pytest.mark.parametrize(
    ("output_size", "cell_px"),
    [("source", 12), ("model", 16), ((96, 64), 8), ((97, 64), 12), ((500, 300), 16)],
)
@pytest.mark.parametrize("options", [{}, {"stability": 0}, {"look_ahead": True}])
def test_pictures_are_painted_no_larger_than_they_are_given_out(
    output_size: Any, cell_px: int, options: dict[str, Any]
) -> None:
    engine = FineEngine()
    stylizer = Stylizer(engine, PAINTING, output_size=output_size, **options)
    frames = make_frames(3, (140, 90))

    painted = [out for frame in [*frames, None] for out in stylizer.process(frame)]

    sizes = stylizer.sizes(frames[0].size)
    assert sizes.cell_px == cell_px and set(engine.painted) == {cell_px}
    assert sizes.painted == (sizes.model[0] // 8 * cell_px, sizes.model[1] // 8 * cell_px)
    assert {frame.size for frame in painted} == {sizes.output} and len(painted) == 3


def test_model_size_follows_short_side_and_pixel_shape() -> None:
    stylizer = Stylizer(FakeEngine(), short_side_px=128, sample_aspect_ratio=Fraction(2))

    assert stylizer.sizes((100, 100)).model == (256, 128)


def test_style_is_the_models_own_by_default() -> None:
    assert Stylizer(FakeEngine()).style == FakeEngine.default_style


def test_real_engine_paints_alone_as_in_a_stream_and_settles_on_a_still() -> None:
    """The fake's contract, held by a miniature of the true classes."""
    engine = make_engine(make_lcm(vae="tiny"))
    style = Style(prompt="oil painting", strength=0.5, num_inference_steps=2)
    frame = make_frames(1)[0]
    still = [replace(frame, pts=pts) for pts in range(3)]

    plain = paint(Stylizer(engine, style, short_side_px=64, stability=0), still)
    stable = paint(Stylizer(engine, style, short_side_px=64, stability=1), still)

    assert len({*plain, *stable}) == 1


# What is made again


def test_nothing_is_made_twice_while_the_style_stays() -> None:
    engine = FakeEngine()
    stylizer = Stylizer(engine, PAINTING)
    for frame in make_frames(5):
        stylizer.style = Style(prompt="oil painting", strength=0.5, seed=7)  # equal, another object
        stylizer.process(frame)

    counts = engine.calls.counts
    assert (counts["encode_prompt"], counts["schedule"], counts["noise"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (Style("neon", 0.5, 1, 1, 7), ["encode_prompt"]),
        (Style("oil painting", 0.5, 1, 2.0, 7), ["encode_prompt"]),
        (Style("oil painting", 0.9, 1, 1, 7), ["schedule"]),
        (Style("oil painting", 0.5, 1, 1, 8), ["noise"]),
        (Style("oil painting", 0.5, 2, 1, 7), ["noise", "schedule"]),
    ],
)
def test_style_change_makes_only_what_depends_on_it(change: Style, made: list[str]) -> None:
    engine = FakeEngine()
    stylizer = Stylizer(engine, PAINTING)
    first, second = make_frames(2)
    stylizer.process(first)
    stylizer.style = change
    stylizer.process(second)

    counts = engine.calls.counts
    again = sorted(name for name in ("encode_prompt", "schedule", "noise") if counts[name] == 2)
    assert again == made


@pytest.mark.parametrize("stability", [0, 1])
def test_style_change_equals_a_fresh_start(stability: float) -> None:
    """Nothing of the old look shows in the first frame of the new one."""
    frames = make_frames(1) * 2
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=stability)
    paint(stylizer, frames[:1])
    stylizer.style = Style(prompt="neon", strength=0.8, num_inference_steps=2, seed=3)

    changed = paint(stylizer, frames[1:])

    assert changed == paint(Stylizer(FakeEngine(), stylizer.style, stability=stability), frames[1:])


def test_style_set_from_another_thread_holds_from_the_next_frame() -> None:
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=0)
    frames = make_frames(2)
    paint(stylizer, frames[:1])
    neon = Style(prompt="neon")
    thread = threading.Thread(target=lambda: setattr(stylizer, "style", neon))
    thread.start()
    thread.join()

    assert paint(stylizer, frames[1:]) == paint(
        Stylizer(FakeEngine(), neon, stability=0), frames[1:]
    )


def test_prompt_that_fails_is_tried_again() -> None:
    """An error leaves nothing half made: with the old style the stream goes on."""
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=0)
    first, second = make_frames(2)
    stylizer.process(first)
    stylizer.style = Style(prompt="neon")
    engine = stylizer._engine
    engine.calls.at, engine.calls.nth = "encode_prompt", 2
    with pytest.raises(RuntimeError, match="broken"):
        stylizer.process(second)

    stylizer.style = PAINTING

    assert paint(stylizer, [second]) == paint(
        Stylizer(FakeEngine(), PAINTING, stability=0), [second]
    )


def test_style_that_half_failed_leaves_nothing_of_itself() -> None:
    frame = make_frames(1)[0]
    stylizer = Stylizer(FakeEngine(Breaks("schedule", 2)), PAINTING, stability=0)
    expected = paint(stylizer, [frame])
    stylizer.style = Style(prompt="charcoal", strength=0.3)
    with pytest.raises(RuntimeError, match="broken"):
        stylizer.process(frame)

    stylizer.style = PAINTING

    assert paint(stylizer, [frame]) == expected


def test_batch_that_failed_at_a_change_of_style_is_forgotten() -> None:
    frames = make_frames(5)
    stylizer = Stylizer(FakeEngine(Breaks("begin", 1)), PAINTING, stability=0, batch=3)
    for frame in frames[:2]:
        stylizer.process(frame)
    stylizer.style = Style(prompt="neon")
    with pytest.raises(RuntimeError, match="broken"):
        stylizer.process(frames[2])

    out = [*stylizer.process(frames[3]), *stylizer.process(frames[4]), *stylizer.process(None)]
    assert [frame.pts for frame in out] == [3, 4]


def test_end_that_fails_leaves_nothing_to_the_next_stream() -> None:
    engine = FakeEngine(Breaks("begin", 1))
    stylizer = Stylizer(engine, PAINTING, stability=0, batch=3)
    stylizer.process(make_frames(1)[0])
    with pytest.raises(RuntimeError, match="broken"):
        stylizer.process(None)

    other = make_frames(1, (100, 60), seed=1)[0]
    assert list(stylizer.process(other)) == []
    assert [frame.size for frame in stylizer.process(None)] == [other.size]


def test_stability_may_change_while_running() -> None:
    frames = make_frames(1) * 3
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=1)
    paint(stylizer, frames[:2])
    stylizer.stability = 0

    assert paint(stylizer, frames[2:]) == paint(
        Stylizer(FakeEngine(), PAINTING, stability=0), frames[2:]
    )


# Contract


def test_none_ends_the_stream_and_a_new_one_may_have_another_size() -> None:
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=1)
    paint(stylizer, make_frames(2))

    assert list(stylizer.process(None)) == []
    other = make_frames(1, (100, 60), seed=1)
    assert paint(stylizer, other) == paint(Stylizer(FakeEngine(), PAINTING), other)


def test_frame_of_another_size_is_refused() -> None:
    stylizer = Stylizer(FakeEngine())
    stylizer.process(make_frames(1)[0])

    with pytest.raises(ValueError, match="got a frame of 32x32 in a stream of 64x48"):
        stylizer.process(make_frames(1, (32, 32))[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stability": 1.5}, "got stability=1.5, expected 0 to 1"),
        ({"stability": -0.1}, "got stability=-0.1, expected 0 to 1"),
        ({"short_side_px": 0}, "got short_side_px=0, expected 1 or more"),
        ({"batch": 2.5}, "got batch=2.5, expected 1 or more"),
        ({"every": 0}, "got every=0, expected 1 or more"),
        ({"output_size": (0, 10)}, r"got output_size=\(0, 10\), expected source, model or"),
        ({"output_size": "big"}, "got output_size='big', expected source, model or"),
    ],
)
def test_wrong_options_say_what_is_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stylizer(FakeEngine(), **options)


def test_wrong_stability_is_refused_while_running_too() -> None:
    stylizer = Stylizer(FakeEngine())

    with pytest.raises(ValueError, match="expected 0 to 1"):
        stylizer.stability = 2
    assert stylizer.stability == 0.5


def test_stages_are_timed_once_a_frame() -> None:
    stylizer = Stylizer(FakeEngine())
    for frame in make_frames(3):
        stylizer.process(frame)

    assert list(stylizer.stats.stages) == [
        *("prepare", "decide", "encode", "denoise", "decode", "blend", "finish")
    ]


def test_what_the_engine_assumed_is_noted() -> None:
    stylizer = Stylizer(FakeEngine(), Style(guidance_scale=2))
    stylizer.process(make_frames(1)[0])

    assert stylizer.stats.notes == ["guidance_scale is ignored"]


def test_nothing_behind_the_door_of_stream_imports_torch() -> None:
    code = (
        "import sys, stream; [getattr(stream, name) for name in stream.__all__]; "
        "sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0
