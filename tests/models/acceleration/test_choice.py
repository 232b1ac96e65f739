"""Fast paths on the CPU paint what the plain path paints; what runs, and why, is said."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import SIZE, make_lcm, make_sdxl, make_unet, save, save_bundled_like
from torch import Tensor, nn

from models import PRESETS, Engine, Style, is_present, load_engine
from models.acceleration.cpu import threads
from models.acceleration.cpu.accelerate import use_eager
from models.acceleration.cpu.openvino import OpenVinoCall
from models.acceleration.cpu.sizes_kept import SIZES_KEPT, sizes_kept
from models.acceleration.cpu.threads import physical_cores, quickest_threads
from models.acceleration.rewrites import SplitPredictor

STYLE = Style("oil painting", 0.6, 2, guidance_scale=4.0, seed=5)
LEAST_PSNR_DB = 35.0
"""What bfloat16 must keep of the plain path's picture."""

MAKERS: dict[str, Callable[[Path], str]] = {
    "bundled": save_bundled_like,
    "lcm": lambda folder: save(make_lcm(vae="tiny"), folder),
    "sdxl": lambda folder: save(make_sdxl(), folder),
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    root = tmp_path_factory.mktemp("fast")

    def folder(kind: str) -> str:
        path = root / kind
        return str(path) if path.exists() else MAKERS[kind](path)

    return folder


@pytest.fixture(scope="session")
def fast(saved: Callable[[str], str]) -> Engine:
    """The miniature of the bundled make on OpenVINO, in whatever is fastest here."""
    pytest.importorskip("openvino")
    threads = torch.get_num_threads()
    engine = load_engine(saved("bundled"), device="cpu", acceleration="openvino")
    torch.set_num_threads(threads)
    return engine


def make_image(size: tuple[int, int] = SIZE, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator) * 2 - 1
    return nn.functional.interpolate(coarse, size[::-1], mode="bicubic").clamp(-1, 1)


def paint(engine: Engine, style: Style = STYLE, image: Tensor | None = None) -> Tensor:
    image = make_image() if image is None else image
    size = (image.shape[-1], image.shape[-2])
    noise, conditioning = engine.noise(style, size), engine.encode_prompt(style)
    latents = engine.denoise(
        engine.encode(image),
        noise,
        conditioning,
        engine.schedule(style),
        features=engine.features(image, noise, conditioning),
    )
    return engine.decode(latents)


def psnr_db(ours: Tensor, plain: Tensor) -> float:
    """Of the plain picture's own range, which in a random model is narrower than [-1, 1]."""
    span = plain.max() - plain.min()
    return float(10 * torch.log10(span**2 / (ours - plain).square().mean()))


# OpenVINO


@pytest.mark.slow
def test_openvino_in_float32_equals_the_plain_path(saved: Callable[[str], str]) -> None:
    pytest.importorskip("openvino")
    for kind in ("bundled", "lcm", "sdxl"):
        plain = load_engine(saved(kind), device="cpu", acceleration="off")
        engine = load_engine(
            saved(kind), device="cpu", acceleration="openvino", dtype=torch.float32
        )
        torch.testing.assert_close(paint(engine), paint(plain), rtol=0, atol=1e-4)


def test_openvino_keeps_the_picture_within_35_db(fast: Engine, saved: Callable[[str], str]) -> None:
    plain = load_engine(saved("bundled"), device="cpu", acceleration="off")
    for size, batch in ((SIZE, 1), ((32, 96), 1), (SIZE, 2)):
        image = make_image(size, batch)
        assert psnr_db(paint(fast, image=image), paint(plain, image=image)) >= LEAST_PSNR_DB


@pytest.mark.parametrize(
    "acceleration", [pytest.param("openvino", marks=pytest.mark.slow), "eager"]
)
def test_the_bundled_model_keeps_its_picture(acceleration: Any) -> None:
    if not is_present(PRESETS["bundled"]):
        pytest.skip("the bundled model is not made yet")
    if acceleration == "openvino":
        pytest.importorskip("openvino")
    plain = load_engine("bundled", device="cpu", acceleration="off")
    engine = load_engine("bundled", device="cpu", acceleration=acceleration)
    image = make_image((64, 64))
    style = plain.default_style
    assert psnr_db(paint(engine, style, image), paint(plain, style, image)) >= LEAST_PSNR_DB


@pytest.mark.slow
def test_openvino_takes_pooled_text(saved: Callable[[str], str]) -> None:
    pytest.importorskip("openvino")
    plain = load_engine(saved("sdxl"), device="cpu", acceleration="off")
    engine = load_engine(saved("sdxl"), device="cpu", acceleration="openvino")
    assert psnr_db(paint(engine), paint(plain)) >= LEAST_PSNR_DB


def test_openvino_gives_the_same_picture_every_time(fast: Engine) -> None:
    assert torch.equal(paint(fast), paint(fast))


def test_a_picture_outlives_the_next_one(fast: Engine) -> None:
    first = paint(fast)
    kept = first.clone()
    paint(fast, image=-make_image())
    assert torch.equal(first, kept)


def test_an_image_changed_in_place_is_seen(fast: Engine) -> None:
    image = make_image()
    for layout in (torch.contiguous_format, torch.channels_last):
        frame = image.clone(memory_format=layout)
        before = fast.encode(frame)
        frame.neg_()
        assert not torch.equal(fast.encode(frame), before)
        assert torch.equal(fast.encode(frame), fast.encode(-image))


def test_changed_style_compiles_nothing_and_equals_a_fresh_start(
    fast: Engine, saved: Callable[[str], str]
) -> None:
    paint(fast)
    predict = fast.networks.predict
    assert isinstance(predict, SplitPredictor)
    compiled = dict(predict.body._compiled)
    other = replace(STYLE, prompt="neon", strength=0.9, seed=8, num_inference_steps=1)
    changed = paint(fast, other)
    assert dict(predict.body._compiled) == compiled
    fresh = load_engine(saved("bundled"), device="cpu", acceleration="openvino")
    assert torch.equal(changed, paint(fresh, other))


def test_few_sizes_are_kept_compiled(fast: Engine) -> None:
    assert isinstance(fast.networks.encode, OpenVinoCall)
    count = sizes_kept(fast.networks.encode.model)
    widths = [16 * k for k in range(2, 4 + count)]
    for width in widths:
        fast.encode(make_image((width, 32)))
    kept = [shapes[0][-1] for shapes in fast.networks.encode._compiled]
    assert kept == widths[-count:]


def test_heavy_models_are_kept_at_fewer_sizes(fast: Engine, monkeypatch: Any) -> None:
    assert isinstance(fast.networks.encode, OpenVinoCall)
    light = sizes_kept(fast.networks.encode.model)
    monkeypatch.setattr("models.acceleration.cpu.sizes_kept.WEIGHTS_KEPT_BYTES", 0)
    assert sizes_kept(fast.networks.encode.model) == SIZES_KEPT < light


def test_refused_shapes_run_on_plain_torch_and_say_so() -> None:
    pytest.importorskip("openvino")
    said: list[str] = []
    module = nn.Conv2d(3, 4, 3).eval().requires_grad_(False)
    call = OpenVinoCall(
        module, (torch.zeros(1, 3, 8, 8),), precision="f32", threads=1, on_failure=said.append
    )
    call._settings = {"NO_SUCH_SETTING": "1"}
    image = torch.rand(1, 3, 8, 8)
    for _ in range(2):
        assert torch.equal(call(image), module(image))
    assert len(said) == 1 and said[0].startswith("OpenVINO refuses (1, 3, 8, 8)")


# what is chosen


def test_auto_takes_openvino_where_it_is(saved: Callable[[str], str]) -> None:
    pytest.importorskip("openvino")
    engine = load_engine(saved("bundled"), device="cpu")
    assert len(engine.notes) == 1 and engine.notes[0].startswith("runs on OpenVINO in ")
    assert engine.dtype == torch.float32


def test_auto_takes_torch_where_openvino_is_not(
    saved: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    engine = load_engine(saved("bundled"), device="cpu")
    assert engine.notes[0].startswith("runs on torch in ")
    assert engine.notes[1].startswith('OpenVINO is not installed: pip install "allaprima[cpu]"')
    with pytest.raises(ImportError, match=r"allaprima\[cpu\]"):
        load_engine(saved("bundled"), device="cpu", acceleration="openvino")


def test_auto_takes_torch_where_openvino_fails(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pipeline = make_lcm()
    unknown = make_unet(time_cond_proj_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"))
    pipeline.register_modules(unet=unknown)
    engine = load_engine(save(pipeline, tmp_path), device="cpu")
    assert engine.notes[0].startswith("OpenVINO cannot run this model: ")
    assert any(note.startswith("runs on torch in ") for note in engine.notes)
    assert paint(engine).isfinite().all()


def test_off_and_a_dtype_asked_for_are_the_plain_path(saved: Callable[[str], str]) -> None:
    settings: tuple[dict[str, Any], ...] = ({"acceleration": "off"}, {"dtype": torch.float32})
    engines = [load_engine(saved("bundled"), device="cpu", **chosen) for chosen in settings]
    assert [engine.notes for engine in engines] == [[], []]
    assert torch.equal(paint(engines[0]), paint(engines[1]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"acceleration": "tensorrt"}, "got acceleration='tensorrt' on cpu, expected auto, off"),
        ({"acceleration": "openvino", "dtype": torch.float16}, "expected float32 or bfloat16"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_engine("bundled", device="cpu", **settings)


# torch, channels_last


@pytest.mark.parametrize("kind", ["bundled", "lcm"])
def test_eager_float32_equals_the_plain_path(kind: str, saved: Callable[[str], str]) -> None:
    plain = load_engine(saved(kind), device="cpu", acceleration="off")
    expected = paint(plain)
    use_eager(plain, torch.float32)
    torch.testing.assert_close(paint(plain), expected, rtol=0, atol=1e-4)


def test_eager_bfloat16_keeps_the_picture_within_35_db(saved: Callable[[str], str]) -> None:
    plain = load_engine(saved("bundled"), device="cpu", acceleration="off")
    engine = load_engine(saved("bundled"), device="cpu", acceleration="eager", dtype=torch.bfloat16)
    assert psnr_db(paint(engine), paint(plain)) >= LEAST_PSNR_DB
    assert paint(engine).dtype == torch.float32
    changed = replace(STYLE, prompt="neon", strength=0.9)
    assert psnr_db(paint(engine, changed), paint(plain, changed)) >= LEAST_PSNR_DB


# threads


def test_two_threads_of_one_core_count_once(tmp_path: Path) -> None:
    allowed = range(4096)  # whatever processors this machine gives us, all share one core here
    for processor in allowed:
        folder = tmp_path / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text("0-4095\n")
        if processor > 256:
            break
    assert physical_cores(tmp_path) == 1


def test_every_processor_counts_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert physical_cores(tmp_path) >= 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu.max": ""}, 4),
        ({}, 4),
    ],
)
def test_a_container_has_the_cores_that_it_is_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(threads, "_allowed", lambda: set(range(4)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert physical_cores(tmp_path, tmp_path) == expected


@pytest.mark.parametrize(("shared_ms", "expected"), [(1.0, 2), (40.0, 1)])
def test_threads_that_wait_for_each_other_are_not_used(shared_ms: float, expected: int) -> None:
    now_ms = 0.0

    def run() -> None:
        nonlocal now_ms
        now_ms += 2.0 if torch.get_num_threads() == 1 else shared_ms

    before = torch.get_num_threads()
    assert quickest_threads(2, run, lambda: now_ms) == expected
    assert torch.get_num_threads() == before


def test_bytes_are_painted(fast: Engine) -> None:
    data = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    fast.warm_up(SIZE)
    assert fast.to_data(fast.decode(fast.encode(fast.to_image(data)))).shape == data.shape
