"""What an engine on a GPU is given, and what it says of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import make_frames
from miniature import make_engine, make_lcm, make_unet
from painting import OTHER, STYLE, assert_alike, assert_same, make_data, make_lora, paint
from replays import Repeater

from models import Engine
from models.acceleration.cuda.accelerate import accelerate_cuda
from models.weights.lora_switching import Loras
from stream import Stylizer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path))
    return tmp_path


def test_engine_of_a_gpu_paints_the_same_in_buckets(folder: Path) -> None:
    engine, plain = make_engine(make_lcm()), make_engine(make_lcm())
    accelerate_cuda(engine, "auto", Repeater())
    data = make_data(1, (64, 64))
    assert_same(paint(engine, STYLE, data), paint(plain, STYLE, data))
    assert engine.size_multiple == 64
    assert engine.notes == ["paints a frame by one CUDA graph, in float32, channels_last"]
    with pytest.raises(ValueError, match="expected multiples of 64"):
        paint(engine, STYLE, make_data(1, (48, 64)))
    engine.close()


def test_without_a_cache_folder_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLAPRIMA_CACHE", "")
    engine = make_engine(make_lcm())
    accelerate_cuda(engine, "auto", Repeater())
    assert "kernels are not compiled: ALLAPRIMA_CACHE is empty" in engine.notes


def test_unknown_unet_is_painted_call_by_call(folder: Path) -> None:
    pipeline = make_lcm()
    unknown = make_unet(time_cond_proj_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"))
    pipeline.register_modules(unet=unknown)
    engine = make_engine(pipeline)
    before = paint(engine, STYLE)
    accelerate_cuda(engine, "auto", Repeater())
    assert engine.painter is None and "call by call" in engine.notes[0]
    assert np.abs(paint(engine, STYLE).astype(int) - before.astype(int)).max() <= 1


def test_stylizer_paints_by_graphs_what_it_paints_call_by_call(folder: Path) -> None:
    def painted(engine: Engine) -> list[np.ndarray[Any, Any]]:
        stylizer = Stylizer(engine, STYLE, short_side_px=64, stability=0, output_size="model")
        shown = [stylizer.process(frame) for frame in make_frames(3, (64, 64))]
        stylizer.style = OTHER
        shown += [stylizer.process(frame) for frame in make_frames(2, (64, 64))]
        stats.append(stylizer.stats)
        return [frame.data for frames in shown for frame in frames]

    stats: list[Any] = []
    engine = make_engine(make_lcm())
    accelerate_cuda(engine, "off", Repeater())
    for ours, theirs in zip(painted(engine), painted(make_engine(make_lcm())), strict=True):
        assert_same(ours, theirs)
    assert stats[0].notes == engine.notes
    assert "begin" in stats[0].stages and "begin" not in stats[1].stages


@pytest.mark.cuda
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")  # of torch's own modules, which Inductor imports
def test_compiled_kernels_on_a_gpu_keep_the_picture(folder: Path) -> None:
    gpu = torch.device("cuda")
    plain, engine = (make_engine(make_lcm().to("cuda"), device=gpu) for _ in range(2))
    accelerate_cuda(engine, "now")
    data = make_data(1, (64, 64))
    for loras in ([], [(make_lora(1), 1.0)]):
        for each in (plain, engine):
            Loras(each).set(loras)
        for style in (STYLE, OTHER, replace(STYLE, num_inference_steps=1)):
            assert_alike(paint(engine, style, data), paint(plain, style, data))
    assert "paints with compiled kernels" in engine.notes
    assert not any("cannot" in note or "not compiled" in note for note in engine.notes)
    engine.close()
