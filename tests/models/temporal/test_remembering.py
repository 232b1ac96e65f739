"""Histories on the device: against NumPy, in a graph, batch after batch, stream beside stream."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import make_engine, make_lcm, save_bundled_like
from numpy.typing import NDArray
from painting import STYLE, assert_same, divided, recipe
from remembered_reference import Stream
from replays import Recorder
from torch.fx.experimental.proxy_tensor import make_fx

from models import Advance, Engine, Remembered, load_engine, memory_of
from models.acceleration.cuda.device import Work
from models.acceleration.cuda.graphs import FrameGraphs
from models.temporal import Memory, Remembering, Shape, blended, looked
from models.temporal.told import Told

Data = NDArray[np.uint8]
SIZE, GRID = (96, 64), (8, 12)
TOLERANCE = 1e-4
STEP_S = 1 / 25
GOES_ON = Advance(kept=0.5, dt_s=STEP_S)
BEGINS = GOES_ON._replace(starts=1.0)


def canvas(seed: int = 0, side: int = 160) -> NDArray[np.float64]:
    """Smooth colours with edges and texture, (side, side, 3) in levels."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / 12
    waves = [np.sin(y * a + x * b + c) for a, b, c in random.uniform(-1, 1, (3, 3)) * 3]
    blocks = random.uniform(-40, 40, (side // 16, side // 16, 3)).repeat(16, 0).repeat(16, 1)
    return np.asarray(np.stack(waves, -1) * 50 + 128 + blocks)


def pan(count: int, step: int = 2, seed: int = 0, noise: float = 1.0) -> list[Data]:
    """A view that moves to the right over a canvas, with a sensor's noise."""
    whole, random = canvas(seed), np.random.default_rng(seed + 9)
    views = [whole[20:84, 10 + step * i : 106 + step * i] for i in range(count)]
    grain = random.normal(0, noise, (count, *views[0].shape))
    pairs = zip(views, grain, strict=True)
    return [np.clip(view + one, 0, 255).round().astype(np.uint8) for view, one in pairs]


def image_of(data: Data) -> torch.Tensor:
    return torch.from_numpy(data.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def remembering(scale: int = 2) -> Remembering:
    return Remembering(Shape((SIZE[1], SIZE[0]), GRID, scale, 4), moves_noise=True)


# against the reference


@pytest.mark.parametrize(
    ("frames", "cut"),
    [
        (pan(6), None),
        (pan(6, 0), None),
        ([*pan(3), *pan(3, 3, seed=4)], 3),
        (pan(4, 3, noise=4.0), None),
    ],
    ids=["pan", "still", "cut", "noisy"],
)
@torch.inference_mode()
def test_a_stream_is_that_of_the_reference(frames: list[Data], cut: int | None) -> None:
    """In float32 to 1e-4 of the range, every plane and the picture before it is rounded."""
    ours, theirs = remembering(), Stream(GRID, 2)
    memory = Memory.empty(ours.shape, torch.device("cpu"))
    for index, data in enumerate(frames):
        told = BEGINS if index in (0, cut) else GOES_ON
        numbers = Told.read(torch.tensor(list(told)))
        seen = ours.look(image_of(data), memory, numbers)
        expected = theirs.look(np.moveaxis(data / 127.5 - 1, 2, 0), told)
        ours.keep_look(seen, memory, numbers)
        for name, plane, levels in (
            ("flow", seen.motion.flow, 10),
            ("weight", seen.weight, 1),
            ("shift", seen.shift, 10),
            ("taken", seen.taken, 1),
            ("rest", seen.ages.rest_s, 1),
            ("cells", seen.look.cells, 255),
        ):
            apart = np.abs(plane[0].numpy().squeeze() - expected[name]).max()
            assert apart <= TOLERANCE * levels, (index, name, apart)
        assert np.array_equal(seen.is_open[0, 0].numpy(), expected["open"])
        painted = np.repeat(np.repeat(255 - data, 2, 0), 2, 1).transpose(2, 0, 1)
        wanted = theirs.blend(painted, expected, told)
        shown = ours.blend(torch.from_numpy(painted.copy())[None], seen, memory, numbers)
        apart = np.abs(shown[0].numpy() - wanted).max()
        assert apart <= 0.5 + TOLERANCE * 255, (index, apart)
        theirs.state["shown"] = shown[0].numpy()


@torch.inference_mode()
def test_the_motion_of_a_pan_is_found() -> None:
    ours = remembering()
    memory = Memory.empty(ours.shape, torch.device("cpu"))
    frames = torch.cat([image_of(data) for data in pan(5, 3)])
    rows = torch.tensor([list(BEGINS), *[list(GOES_ON)] * 4])
    seen = looked(ours, frames, memory, rows)[-1]
    middle = seen.motion.flow[0, :, 8:-8, 8:-8]
    assert abs(float(middle[0].mean()) - 1.5) < 0.1  # 3 px are 1.5 places
    assert abs(float(middle[1].mean())) < 0.1
    assert float((seen.taken[0, 0, 8:-8, 8:-8] == 6).float().mean()) > 0.8  # four frames


def test_moved_noise_is_its_own_numbers_in_steps_of_part_of_a_cell() -> None:
    from models.temporal.noise import moved

    for channels, side in ((16, 4), (32, 4), (4, 2)):
        noise = torch.randn(2, channels, 6, 8, generator=torch.Generator().manual_seed(1))
        taken = torch.zeros(1, 2, side * 6, side * 8)
        assert torch.equal(moved(noise, taken), noise)
        taken[:, 0] = 1
        planes = torch.nn.functional.pixel_shuffle(noise, side)
        there = torch.nn.functional.pixel_shuffle(moved(noise, taken), side)
        assert torch.equal(there, planes.roll(-1, 3))
        assert abs(float(there.std()) - float(noise.std())) < 1e-6


def test_what_stands_still_is_copied_byte_for_byte() -> None:
    ours = remembering(scale=1)
    memory = Memory.empty(ours.shape, torch.device("cpu"))
    shown = []
    random = np.random.default_rng(2)
    for index, data in enumerate(pan(14, 0)):
        rows = torch.tensor([list(GOES_ON if index else BEGINS)])
        found = looked(ours, image_of(data), memory, rows)
        painted = (data + random.normal(0, 6, data.shape)).clip(0, 255).astype(np.uint8)
        shown.append(blended(ours, torch.from_numpy(painted)[None], found, memory, rows))
    assert not torch.equal(shown[2], shown[3])  # it settles, and then rests
    assert all(torch.equal(one, shown[-1]) for one in shown[9:])


@pytest.mark.parametrize("told", [BEGINS, GOES_ON], ids=["told", "seen"])
def test_a_cut_takes_nothing_along(told: Advance) -> None:
    """Whether the host says so or the frames do."""
    ours = remembering(scale=1)
    memory = Memory.empty(ours.shape, torch.device("cpu"))
    light = [np.uint8(0.3 * pan(1, seed=3)[0])] if told is GOES_ON else [pan(1, seed=3)[0]]
    frames, told_of = [*pan(3), *light], [BEGINS, GOES_ON, GOES_ON, told]
    for data, each in zip(frames, told_of, strict=True):
        rows = torch.tensor([list(each)])
        found = looked(ours, image_of(data), memory, rows)
        shown = blended(ours, torch.from_numpy(data)[None], found, memory, rows)
    assert np.array_equal(shown[0].numpy(), frames[-1])
    assert not found[0].taken.any()


def test_a_step_can_be_traced() -> None:
    """No value decides a shape, a branch or a wait: what compiles and what is captured."""
    ours = remembering()
    memory = Memory.empty(ours.shape, torch.device("cpu"))

    def step(image: torch.Tensor, painted: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        found = looked(ours, image, memory, rows)
        return blended(ours, painted, found, memory, rows)

    given = image_of(pan(1)[0]), torch.zeros(1, 128, 192, 3, dtype=torch.uint8)
    traced = make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)(
        *given, torch.tensor([list(BEGINS)])
    )
    waits = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"}
    names = {getattr(node.target, "name", str)() for node in traced.graph.nodes}
    assert len(names) > 20 and not names & waits


# in the engine


def plain_engine(folder: Path, kind: str) -> Engine:
    if kind == "lcm":
        return make_engine(make_lcm())
    name = save_bundled_like(folder, stem=True)
    return load_engine(name, device="cpu", acceleration="off")


@pytest.fixture(params=["lcm", "stem"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Engine, Engine, Recorder]:
    """A plain one, and the same by graphs on a recorder."""
    plain, ours = (plain_engine(tmp_path, request.param) for _ in range(2))
    device = Recorder()
    divided(ours).painter = FrameGraphs(ours, device)
    return plain, ours, device


def begun(engine: Engine, memory: Memory, data: Data, *advances: Advance) -> Data:
    how = recipe(engine, STYLE, SIZE)
    given = how.noise, how.conditioning, how.schedule
    return engine.begin(data, *given, remembered=Remembered(memory, advances))()


def stream_of(engine: Engine, frames: list[Data]) -> list[Data]:
    memory = memory_of(engine, SIZE)
    return [
        begun(engine, memory, data, GOES_ON if index else BEGINS)
        for index, data in enumerate(frames)
    ]


def test_a_graph_remembers_as_the_plain_engine_does(
    engines: tuple[Engine, Engine, Recorder],
) -> None:
    plain, ours, device = engines
    frames = [*pan(4), *pan(3, 0, seed=4)]
    expected, shown = stream_of(plain, frames), stream_of(ours, frames)
    for one, other in zip(shown, expected, strict=True):
        assert_same(one, other)
    assert device.captures == 1
    alone = [begun(plain, memory_of(plain, SIZE), data, BEGINS) for data in frames]
    assert not np.array_equal(expected[2], alone[2])  # it does remember


def test_streams_side_by_side_are_each_their_own(
    engines: tuple[Engine, Engine, Recorder],
) -> None:
    _, ours, device = engines
    streams = [pan(4), pan(4, 3, seed=4)]
    expected = [stream_of(ours, frames) for frames in streams]
    memories = [memory_of(ours, SIZE) for _ in streams]
    for index in range(4):
        for memory, frames, shown in zip(memories, streams, expected, strict=True):
            told = GOES_ON if index else BEGINS
            assert np.array_equal(begun(ours, memory, frames[index], told), shown[index])
    assert device.captures == 1


def test_a_batch_is_its_frames_in_order(engines: tuple[Engine, Engine, Recorder]) -> None:
    plain, ours, _ = engines
    frames = pan(6)
    expected = stream_of(plain, frames)
    for engine in (plain, ours):
        memory = memory_of(engine, SIZE)
        shown = [*begun(engine, memory, np.stack(frames[:3]), BEGINS, GOES_ON, GOES_ON)]
        filler = GOES_ON._replace(counts=0.0)
        filled = np.stack([*frames[3:5], frames[4]])
        shown += [*begun(engine, memory, filled, GOES_ON, GOES_ON, filler)][:2]
        shown.append(begun(engine, memory, frames[5], GOES_ON))
        for one, other in zip(shown, expected, strict=True):
            assert_same(one, other)


def test_frames_without_a_memory_leave_it_alone(engines: tuple[Engine, Engine, Recorder]) -> None:
    _, ours, _ = engines
    frames, memory = pan(3), memory_of(ours, SIZE)
    expected = stream_of(ours, frames)
    how = recipe(ours, STYLE, SIZE)
    for index, data in enumerate(frames):
        ours.paint(pan(1, seed=5)[0], how.noise, how.conditioning, how.schedule)
        shown = begun(ours, memory, data, GOES_ON if index else BEGINS)
        assert np.array_equal(shown, expected[index])


def test_a_stream_goes_on_where_its_graph_finds_no_room(tmp_path: Path) -> None:
    """The graph of another number of steps does not fit: all go, and the memory stays."""

    class Crowded(Recorder):
        def capture(self, work: Work, pool: object) -> Work:
            if self.captures:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().capture(work, pool)

    plain, ours = (plain_engine(tmp_path, "lcm") for _ in range(2))
    divided(ours).painter = FrameGraphs(ours, Crowded())
    shown: list[list[Data]] = []
    for engine in (plain, ours):
        memory, painted = memory_of(engine, SIZE), []
        for index, data in enumerate(pan(4)):
            style = replace(STYLE, num_inference_steps=2 if index < 2 else 1)
            how = recipe(engine, style, SIZE)
            told = Remembered(memory, [GOES_ON if index else BEGINS])
            given = how.noise, how.conditioning, how.schedule
            painted.append(engine.begin(data, *given, remembered=told)())
        shown.append(painted)
    for one, other in zip(*shown, strict=True):
        assert_same(one, other)
    assert len([note for note in ours.notes if "no room for a graph" in note]) == 1
