"""The frame function paints, bytes to bytes, what the engine paints; captured or not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sdxl,
    save_bundled_like,
)
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from models import Engine, Style, load_engine
from models.acceleration.graphs import FrameFunction, FrameGraph, FrameGraphs
from models.acceleration.rewrites import split
from models.networks import Predictor

STYLE = Style("oil painting", 0.6, 2, guidance_scale=4.0, seed=5)
OTHER = replace(STYLE, prompt="neon", strength=0.9, guidance_scale=7.0, seed=9)
CLOSE = 1
"""uint8 levels: the same number may round to either side of a half."""


def divided(engine: Engine) -> Engine:
    assert isinstance(engine.networks.predict, Predictor)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    return engine


def make_bundled_like(folder: Path) -> Engine:
    return load_engine(save_bundled_like(folder), device="cpu", acceleration="off")


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "lcm": lambda _: make_engine(make_lcm()),
    "sample": lambda _: make_engine(make_lcm(prediction_type="sample")),
    "sdxl": lambda _: make_engine(make_sdxl()),
    "pix2pix": lambda _: make_engine(make_instruct_pix2pix(), frame_is_scaled=False),
    "bundled": make_bundled_like,
}


def make_data() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def paint(engine: Engine, style: Style) -> NDArray[np.uint8]:
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    latents = engine.encode(engine.to_image(make_data()))
    latents = engine.denoise(latents, noise, conditioning, engine.schedule(style))
    return engine.to_data(engine.decode(latents))


def run(frame: FrameFunction) -> NDArray[np.uint8]:
    frame.data.copy_(torch.from_numpy(make_data()))
    frame.run()
    return frame.output.cpu().numpy().copy()


def assert_same(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    assert theirs.std() > 1  # a picture
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= CLOSE


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_frame_function_paints_what_the_engine_does(
    make: Callable[[Path], Engine], steps: int, tmp_path: Path
) -> None:
    engine, style = make(tmp_path), replace(STYLE, num_inference_steps=steps)
    expected = paint(engine, style)
    assert_same(run(FrameFunction(divided(engine), SIZE, style)), expected)


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_adopted_style_is_a_fresh_start(make: Callable[[Path], Engine], tmp_path: Path) -> None:
    engine = divided(make(tmp_path))
    frame = FrameFunction(engine, SIZE, STYLE)
    before = run(frame)
    frame.adopt(OTHER)
    assert np.array_equal(run(frame), run(FrameFunction(engine, SIZE, OTHER)))
    assert not np.array_equal(run(frame), before)


class _Addresses(TorchDispatchMode):
    """Notes where the tensors lie that a frame reads and that it did not make itself."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[int] = set()
        self.read: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.name() not in {"aten::_local_scalar_dense", "aten::nonzero"}, "the host waits"
        leaves = torch.utils._pytree.tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        self.read |= {t.untyped_storage().data_ptr() for t in tensors} - self.made
        result = func(*args, **(kwargs or {}))
        self.made |= {
            t.untyped_storage().data_ptr()
            for t in torch.utils._pytree.tree_leaves(result)
            if isinstance(t, torch.Tensor)
        } - self.read
        return result


def test_a_frame_reads_the_same_memory_in_every_style_and_never_waits() -> None:
    frame = FrameFunction(divided(make_engine(make_sdxl())), SIZE, STYLE)
    places = [frame.data, frame.output, frame._noise, frame._scalars]
    places += [tensor for step in frame._held for tensor in step]
    before = [place.data_ptr() for place in places]
    frame.adopt(OTHER)
    places = [frame.data, frame.output, frame._noise, frame._scalars]
    places += [tensor for step in frame._held for tensor in step]
    assert [place.data_ptr() for place in places] == before
    with _Addresses() as addresses:
        frame.run()
    assert {place.untyped_storage().data_ptr() for place in places} <= addresses.read


def test_another_number_of_steps_is_refused() -> None:
    frame = FrameFunction(divided(make_engine(make_lcm())), SIZE, STYLE)
    with pytest.raises(ValueError, match="got num_inference_steps=1, expected 2"):
        frame.adopt(replace(STYLE, num_inference_steps=1))


def test_a_whole_unet_is_refused() -> None:
    with pytest.raises(ValueError, match="whole UNet"):
        FrameFunction(make_engine(make_lcm()), SIZE, STYLE)


@pytest.mark.cuda
@pytest.mark.parametrize("make", [make_lcm, make_sdxl, make_instruct_pix2pix])
def test_captured_graph_paints_what_the_function_does(make: Callable[[], Any]) -> None:
    engine = divided(make_engine(make().to("cuda"), device=torch.device("cuda")))
    frame = FrameFunction(engine, SIZE, STYLE)
    graph = FrameGraph(frame)
    for style in (STYLE, OTHER):
        frame.adopt(style)
        assert_same(graph(make_data()), run(FrameFunction(engine, SIZE, style)))


@pytest.mark.cuda
def test_graphs_of_several_sizes_share_a_pool() -> None:
    engine = divided(make_engine(make_lcm().to("cuda"), device=torch.device("cuda")))
    graphs = FrameGraphs(engine, STYLE)
    sizes = [(64, 48), (32, 32), (64, 48)]
    for size, style in zip(sizes, (STYLE, STYLE, OTHER), strict=True):
        graphs.adopt(style)
        data = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        frame = FrameFunction(engine, size, style)
        frame.data.copy_(torch.from_numpy(data))
        frame.run()
        assert_same(graphs(data), frame.output.cpu().numpy())


@pytest.mark.cuda
def test_a_replay_makes_nothing_wait() -> None:
    engine = divided(make_engine(make_lcm().to("cuda"), device=torch.device("cuda")))
    graph = FrameGraph(FrameFunction(engine, SIZE, STYLE))
    torch.cuda.set_sync_debug_mode("error")
    try:
        graph.replay()
    finally:
        torch.cuda.set_sync_debug_mode("default")
