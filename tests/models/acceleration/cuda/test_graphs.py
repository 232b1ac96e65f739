"""A frame in one launch paints, bytes to bytes, what the engine paints call by call."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import (
    SIZE,
    make_engine,
    make_lcm,
    make_sdxl,
)
from painting import (
    ENGINES,
    OTHER,
    STYLE,
    assert_same,
    divided,
    make_data,
    paint,
    recipe,
)
from replays import Recorder, graphed
from torch import Tensor

from models import Engine, ModelMemoryError
from models.acceleration.cuda.device import Work
from models.acceleration.cuda.graphs import GRAPHS_KEPT
from models.acceleration.cuda.whole_frame import FrameFunction, Parts


@contextmanager
def decoded(parts: Parts) -> Iterator[list[Tensor]]:
    """What the closing's decoder gives, before it is rounded to bytes."""
    pictures: list[Tensor] = []
    closing: Any = parts.closing
    hook = closing.decode.register_forward_hook(lambda *args: pictures.append(args[-1]))
    yield pictures
    hook.remove()


# the plain engine


def test_plain_paint_is_call_after_call() -> None:
    engine = make_engine(make_lcm())
    how = recipe(engine, STYLE)
    latents = engine.encode(engine.to_image(make_data()))
    latents = engine.denoise(latents, how.noise, how.conditioning, how.schedule)
    assert np.array_equal(paint(engine, STYLE), engine.to_data(engine.decode(latents)))
    engine.close()  # nothing to end


# the function


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_function_paints_what_the_engine_does(
    make: Callable[[Path], Engine], steps: int, tmp_path: Path
) -> None:
    engine, style = make(tmp_path), replace(STYLE, num_inference_steps=steps)
    expected = paint(engine, style)
    how = recipe(engine, style)
    latents = engine.encode(engine.to_image(make_data()))
    image = engine.decode(engine.denoise(latents, how.noise, how.conditioning, how.schedule))
    frame = FrameFunction(divided(engine), (1, SIZE[1], SIZE[0]), how)
    frame.data.copy_(torch.from_numpy(make_data()))
    with decoded(frame.parts) as pictures:
        frame.run()
    torch.testing.assert_close(pictures[0], image, rtol=0, atol=1e-4)
    assert_same(frame.output[0].numpy(), expected)


def test_another_number_of_steps_is_refused() -> None:
    engine = divided(make_engine(make_lcm()))
    frame = FrameFunction(engine, (1, SIZE[1], SIZE[0]), recipe(engine, STYLE))
    with pytest.raises(ValueError, match=r"kinds, pictures\) \(1, 16, 1, \(\), \(\)\), expected"):
        frame.adopt(recipe(engine, replace(STYLE, num_inference_steps=1)))


def test_a_whole_unet_and_a_wrong_size_are_refused() -> None:
    engine = make_engine(make_lcm())
    with pytest.raises(ValueError, match="whole UNet"):
        FrameFunction(engine, (1, SIZE[1], SIZE[0]), recipe(engine, STYLE))
    with pytest.raises(ValueError, match="expected multiples of 16"):
        FrameFunction(divided(engine), (1, 40, 64), recipe(engine, STYLE))


# the graph


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_changed_style_is_a_fresh_start_and_no_capture(
    make: Callable[[Path], Engine], tmp_path: Path
) -> None:
    expected = [paint(make(tmp_path), style) for style in (STYLE, OTHER)]
    device = Recorder()
    engine = graphed(make(tmp_path), device)
    painted = [paint(engine, style) for style in (STYLE, OTHER, STYLE)]
    assert device.captures == 1
    for ours, theirs in zip(painted, [*expected, expected[0]], strict=True):
        assert_same(ours, theirs)
    assert np.array_equal(painted[1], paint(graphed(make(tmp_path)), OTHER))
    assert np.array_equal(painted[2], painted[0])


@pytest.mark.parametrize(
    "change",
    [{"prompt": "neon"}, {"strength": 0.3}, {"seed": 8}, {"guidance_scale": 2.0}],
    ids=lambda change: next(iter(change)),
)
def test_each_change_alone_is_a_fresh_start(change: dict[str, Any]) -> None:
    device = Recorder()
    engine = graphed(make_engine(make_lcm()), device)
    before, after = paint(engine, STYLE), paint(engine, replace(STYLE, **change))
    assert device.captures == 1
    assert not np.array_equal(before, after)
    fresh = graphed(make_engine(make_lcm()))
    assert np.array_equal(after, paint(fresh, replace(STYLE, **change)))


def test_steps_and_sizes_choose_among_graphs_in_one_pool() -> None:
    plain, device = make_engine(make_lcm()), Recorder()
    pools: list[object] = []
    capture = device.capture
    device.capture = lambda work, pool: (pools.append(pool), capture(work, pool))[1]  # type: ignore
    engine = graphed(make_engine(make_lcm()), device)
    kinds = [(SIZE, 2), ((32, 32), 2), (SIZE, 1), (SIZE, 2), ((32, 32), 2)]
    for size, steps in kinds:
        style, data = replace(STYLE, num_inference_steps=steps), make_data(3, size)
        assert_same(paint(engine, style, data), paint(plain, style, data))
    assert len(pools) == 3
    assert len({id(pool) for pool in pools}) == 1


def test_graphs_used_last_are_kept() -> None:
    device = Recorder()
    engine = graphed(make_engine(make_lcm(vae="tiny")), device)
    sizes = [(16 * n, 16) for n in range(1, GRAPHS_KEPT + 2)]
    for size in (*sizes[:-1], sizes[0], sizes[-1], sizes[0]):
        paint(engine, STYLE, make_data(1, size))
    assert device.captures == GRAPHS_KEPT + 1  # the first was used again and stayed
    paint(engine, STYLE, make_data(1, sizes[1]))
    assert device.captures == GRAPHS_KEPT + 2  # the second had to go


def test_a_batch_is_its_frames() -> None:
    plain, engine = make_engine(make_sdxl()), graphed(make_engine(make_sdxl()))
    frames = np.stack([make_data(seed) for seed in range(3)])
    expected = [paint(plain, STYLE, frame) for frame in frames]
    for painted in (paint(plain, STYLE, frames), paint(engine, STYLE, frames)):
        for ours, theirs in zip(painted, expected, strict=True):
            assert_same(ours, theirs)


class _Uncapturable(Recorder):
    """A device that refuses to capture."""

    error: Exception = RuntimeError("operation not permitted when stream is capturing")

    def capture(self, work: Any, pool: object) -> Any:
        raise self.error


def test_what_cannot_be_captured_is_launched_and_said() -> None:
    engine = graphed(make_engine(make_lcm()), _Uncapturable())
    for style in (STYLE, OTHER):
        assert_same(paint(engine, style), paint(make_engine(make_lcm()), style))
    assert engine.notes == [
        "a frame cannot be captured: operation not permitted when stream is capturing"
    ]


def test_a_failed_capture_costs_no_other_its_graph() -> None:
    """What it leaves of the pool's memory is torch's no more."""

    class Once(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.spoilt: list[object] = []

        def capture(self, work: Work, pool: object) -> Work:
            assert not any(pool is each for each in self.spoilt)
            if not self.spoilt:
                self.spoilt.append(pool)
                raise RuntimeError("operation not permitted")
            return super().capture(work, pool)

    device = Once()
    engine = graphed(make_engine(make_lcm()), device)
    for size in (SIZE, (32, 32)):
        data = make_data(1, size)
        assert_same(paint(engine, STYLE, data), paint(make_engine(make_lcm()), STYLE, data))
    assert device.captures == 1


class _Crowded(Recorder):
    """A device that has room for so many captures."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def capture(self, work: Work, pool: object) -> Work:
        if self.captures == self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().capture(work, pool)


def test_a_size_without_room_for_a_graph_is_painted_call_by_call() -> None:
    """In the middle: a frame of another size is on its way, and still comes."""
    plain, engine = make_engine(make_lcm()), graphed(make_engine(make_lcm()), _Crowded(1))
    how, small, large = recipe(engine, STYLE, (32, 32)), make_data(1, (32, 32)), make_data(2)
    under_way = engine.begin(small, how.noise, how.conditioning, how.schedule)
    for style in (STYLE, OTHER):
        assert_same(paint(engine, style, large), paint(plain, style, large))
    assert_same(under_way(), paint(plain, STYLE, small))
    width, height = SIZE
    assert engine.notes == [
        f"frames of {width}x{height} are painted call by call: no room for a graph of them "
        "(CUDA out of memory)"
    ]


def test_without_room_for_a_frame_at_all_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = graphed(make_engine(make_lcm()), _Crowded(0))

    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    how = recipe(engine, STYLE)
    monkeypatch.setattr(engine, "encode", full)
    with pytest.raises(ModelMemoryError, match="use a smaller size or batch"):
        engine.paint(make_data(), how.noise, how.conditioning, how.schedule)


class _Unlaunchable(Recorder):
    """A device whose captures fail when they are launched."""

    def capture(self, work: Work, pool: object) -> Work:
        super().capture(work, pool)

        def fails() -> None:
            raise RuntimeError("no kernel image is available for execution on the device")

        return fails


def test_a_capture_for_another_gpu_is_left_and_said() -> None:
    plain, engine = make_engine(make_lcm()), graphed(make_engine(make_lcm()), _Unlaunchable())
    for style in (STYLE, OTHER):
        assert_same(paint(engine, style), paint(plain, style))
    assert engine.notes == [
        "a captured frame cannot be launched: no kernel image is available for execution on the "
        "device"
    ]


# frames on their way


@pytest.mark.parametrize("seed", range(8))
def test_frames_on_their_way_never_touch_each_other(seed: int) -> None:
    plain = make_engine(make_lcm())
    device = Recorder(random.Random(seed) if seed else None)
    engine = graphed(make_engine(make_lcm()), device)
    recipes = [recipe(engine, style) for style in (STYLE, OTHER)]
    frames = [make_data(index) for index in range(9)]
    expected = [paint(plain, (STYLE, OTHER)[i // 2 % 2], f) for i, f in enumerate(frames)]
    under_way, painted = [], []
    for index, frame in enumerate(frames):
        how, given = recipes[index // 2 % 2], frame.copy()
        under_way.append(engine.begin(given, how.noise, how.conditioning, how.schedule))
        given[:] = 0  # the caller's again
        if len(under_way) == 3:
            painted.append(under_way.pop(0)())
    painted += [picture() for picture in under_way]
    for ours, theirs in zip(painted, expected, strict=True):
        assert_same(ours, theirs)


def test_the_host_waits_once_a_frame() -> None:
    device = Recorder()
    engine = graphed(make_engine(make_lcm()), device)
    how = recipe(engine, STYLE)
    for count in range(1, 6):
        picture = engine.begin(make_data(count), how.noise, how.conditioning, how.schedule)
        assert np.array_equal(picture(), picture())
        assert device.waits == count


def test_a_picture_never_asked_for_is_in_nobodys_way() -> None:
    engine = graphed(make_engine(make_lcm()))
    how = recipe(engine, STYLE)
    first, *_ = [
        engine.begin(make_data(index), how.noise, how.conditioning, how.schedule)
        for index in range(7)
    ]
    assert np.array_equal(first(), paint(engine, STYLE, make_data(0)))


# faster networks
