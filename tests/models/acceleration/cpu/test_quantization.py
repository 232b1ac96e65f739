"""Convolutions in 8-bit integers: near the exact ones, and only where a trial shows them better."""

import itertools
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import save_bundled_like
from torch import Tensor, nn

from models import Engine, load_engine
from models.acceleration import speed_trial as trial
from models.acceleration.cache.folder import FOLDER_VARIABLE
from models.acceleration.cpu import accelerate as cpu
from models.acceleration.cpu import quantization
from models.acceleration.cpu.quantization import RANGES_NAME, quantized, read_ranges, save_ranges
from models.acceleration.speed_trial import is_alike, is_better, trial_picture
from models.errors import ModelFormatError, ModelMemoryError
from models.presets import BUNDLED_FOLDER
from models.training.calibrate import is_exact, measure
from models.training.measures import paint

openvino = pytest.importorskip("openvino")

from models.acceleration.cpu.openvino import OpenVinoCall, adds_in_16_bits  # noqa: E402

SIDE = 32
INTEGERS = "8-bit integers"


class Net(nn.Module):
    """Two convolutions; the first channel that the second is fed is much wider than the others."""

    def __init__(self, width: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 3, 3, padding=1)
        with torch.no_grad():
            self.first.weight[0] *= width
            self.second.weight[:, 0] /= width

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.second(nn.functional.silu(self.first(x)))
        return seen


class Outer(nn.Module):
    """Gives the net a name, as a predictor does the UNet."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.net = Net(width)

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.net(x)
        return seen


def image(seed: int = 0) -> Tensor:
    picture = trial_picture((1, SIDE, SIDE, 3)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return picture.roll(seed, 2)


def ranges_of(module: Outer) -> dict[str, np.ndarray]:
    with torch.no_grad():
        fed = {"net.first": image(), "net.second": nn.functional.silu(module.net.first(image()))}
    return {
        name: torch.stack([x.amin((0, 2, 3)), x.amax((0, 2, 3))]).numpy() for name, x in fed.items()
    }


def as_call(module: nn.Module) -> OpenVinoCall:
    return OpenVinoCall(module, (image(),), precision="f32", threads=1, on_failure=pytest.fail)


def error_of(module: Outer) -> float:
    """Of the quantized net, as a share of what its picture varies by."""
    call = as_call(module)
    exact, found = (each(image(3)).clone() for each in (call, call.quantized(ranges_of(module))))
    return float((found - exact).square().mean() / exact.var())


@pytest.mark.parametrize("width", [1.0, 300.0])
def test_quantized_convolutions_are_near_the_exact_ones(width: float) -> None:
    assert 0 < error_of(Outer(width).eval()) < 1e-3


def test_a_wide_channel_would_drown_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization, "_shares", lambda fed, _: np.ones_like(fed))
    assert error_of(Outer(300.0).eval()) > 1e-2


def test_an_eighth_bit_is_used() -> None:
    """The weights come out on 255 levels a channel, the activations on 256."""
    module = Outer(1.0).eval()
    model = quantized(as_call(module).model, ranges_of(module))
    levels = [n.get_levels() for n in model.get_ops() if n.get_type_name() == "FakeQuantize"]
    assert sorted(levels) == [255, 255, 256, 256]


def weight_levels(*, adds_in_16_bits: bool) -> int:
    """The largest level that a weight has, by OpenVINO's own reckoning."""
    module = Outer(1.0).eval()
    call = as_call(module)
    model = quantized(call.model, ranges_of(module), adds_in_16_bits=adds_in_16_bits)
    largest = []
    for node in model.get_ops():
        if node.get_type_name() == "FakeQuantize" and node.get_levels() == 255:
            weights, _, high, *_ = (each.get_node().get_data() for each in node.input_values())
            largest.append(int(np.rint(np.abs(weights) / high * 127).max()))
    return max(largest)


def test_no_sum_overflows_where_two_products_are_added_in_16_bits() -> None:
    assert weight_levels(adds_in_16_bits=False) == 127
    assert weight_levels(adds_in_16_bits=True) == 63
    assert 2 * 255 * 63 < 2**15 <= 2 * 255 * 127


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", {"avx2": True, "avx512_vnni": False, "name": "AMD"}, True),
        ("AMD64", {"avx2": True}, True),
        ("x86_64", {"avx2": True, "avx_vnni": True}, False),
        ("x86_64", {"amx_int8": True, "avx512_vnni": True}, False),
        ("arm64", {}, False),
    ],
)
def test_processors_that_add_in_16_bits_are_known(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: dict[str, Any], expected: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert adds_in_16_bits() is expected


def test_ranges_that_do_not_fit_are_refused() -> None:
    call = as_call(Outer(1.0).eval())
    with pytest.raises(ValueError, match="no convolution"):
        call.quantized({"net.third": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match="4 channels, expected 3"):
        call.quantized({"net.first": np.zeros((2, 4), np.float32)})


def test_a_dead_channel_does_no_harm() -> None:
    module = Outer(1.0).eval()
    with torch.no_grad():
        module.net.second.weight[:, 1] = 0
    ranges = ranges_of(module)
    ranges["net.second"][:, 2] = 0
    assert torch.isfinite(as_call(module).quantized(ranges)(image())).all()


# A whole model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature of the bundled make with the ranges of its own convolutions."""
    folder = Path(save_bundled_like(tmp_path_factory.mktemp("eight") / "little"))
    engine = load_engine(str(folder), device="cpu", acceleration="off")
    picture = trial_picture((1, SIDE, SIDE, 3))[0].numpy().copy()
    ranges = measure(engine, lambda: paint(engine, engine.default_style, [picture]))
    save_ranges(ranges, folder)
    return folder


def test_every_convolution_for_integers_is_measured(folder: Path) -> None:
    engine = load_engine(str(folder), device="cpu", acceleration="off")
    networks: Any = engine.networks
    parts = {"unet": networks.predict.unet, "vae": networks.encode.vae}
    expected = {
        f"{part}.{name}": module.in_channels
        for part, network in parts.items()
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and not is_exact(f"{part}.{name}")
    }
    found = {name: values.shape for name, values in read_ranges(folder).items()}
    assert found == {name: (2, channels) for name, channels in expected.items()}
    assert engine.activation_ranges.keys() == expected.keys()


def test_the_bundled_models_ranges_are_of_its_own_convolutions() -> None:
    engine = load_engine("bundled", device="cpu", acceleration="off")
    networks: Any = engine.networks
    weights = {
        f"{part}.{name}": module
        for part, network in (
            ("unet", networks.predict.unet),
            ("vae", networks.encode.vae),
            *([("stem", networks.stem.features.stem)] if networks.stem is not None else []),
        )
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    ranges = read_ranges(BUNDLED_FOLDER)
    assert ranges.keys() == {name for name in weights if not is_exact(name)}
    assert len(ranges) > len(weights) / 2
    assert all(values.shape == (2, weights[name].in_channels) for name, values in ranges.items())


@pytest.mark.parametrize("better", [True, False])
def test_they_are_taken_where_they_are_better(
    folder: Path, monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    monkeypatch.setattr(cpu, "is_better", lambda *_: better)
    engine = load_engine(str(folder), device="cpu", acceleration="openvino")
    assert any(INTEGERS in note for note in engine.notes) == better


def test_a_dtype_that_is_asked_for_is_kept_to(folder: Path) -> None:
    engine = load_engine(str(folder), device="cpu", acceleration="openvino", dtype=torch.float32)
    assert not any(INTEGERS in note for note in engine.notes)


def test_ranges_of_another_model_are_said_and_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(save_bundled_like(tmp_path / "other"))
    wrong = {name: values[:, :1] for name, values in read_ranges(folder).items()}
    save_ranges(wrong, other)
    engine = load_engine(str(other), device="cpu", acceleration="openvino")
    assert any("not computed in 8-bit integers" in note for note in engine.notes)
    assert not any("runs on OpenVINO in 8-bit" in note for note in engine.notes)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(3, np.float32), r"float32 \(3,\), expected"),
        (np.zeros((2, 3), np.float64), "float64"),
        (np.full((2, 3), np.nan, np.float32), "no ranges"),
        (np.array([[1.0], [0.0]], np.float32), "no ranges"),
    ],
)
def test_what_is_no_range_is_said(tmp_path: Path, values: np.ndarray, said: str) -> None:
    save_ranges({"unet.conv_in": values}, tmp_path)
    with pytest.raises(ValueError, match=f"unet.conv_in.*{said}"):
        read_ranges(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("no room"), ModelMemoryError("no room")])
def test_a_trial_that_fails_leaves_openvino_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr(cpu, "is_better", fail)
    engine = load_engine(str(folder), device="cpu")
    assert any("integers: no room" in note for note in engine.notes)
    assert any("runs on OpenVINO in" in note for note in engine.notes)


def test_what_openvino_refuses_in_integers_is_not_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(engine: Engine, *_: object) -> bool:
        engine.note("OpenVINO refuses a part of it")
        return True

    monkeypatch.setattr(cpu, "is_better", refused)
    engine = load_engine(str(folder), device="cpu")
    assert not any("refuses" in note or INTEGERS in note for note in engine.notes)


def test_damaged_ranges_are_said(tmp_path: Path) -> None:
    other = Path(save_bundled_like(tmp_path / "other"))
    (other / RANGES_NAME).write_bytes(b"no tensors")
    with pytest.raises(ModelFormatError, match=RANGES_NAME):
        load_engine(str(other), device="cpu")


@pytest.mark.slow
def test_a_kept_model_says_what_it_runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for better in (True, False):
        monkeypatch.setattr(cpu, "is_better", lambda *_, better=better: better)
        for _ in range(2):  # made, then read
            engine = load_engine("bundled", device="cpu")
            assert any(INTEGERS in note for note in engine.notes) == better
        for place in tmp_path.iterdir():
            (place / "facts.json").unlink()


@pytest.mark.slow
def test_a_kept_model_says_why_it_has_no_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("no room")

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(cpu, "is_better", fail)
    for _ in range(2):  # made, then read
        notes = load_engine("bundled", device="cpu").notes
        assert any("integers: no room" in note for note in notes)
        assert sum("runs on OpenVINO" in note for note in notes) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("size", "batch"), [((96, 32), 1), ((32, 64), 2)])
def test_integers_keep_every_size_and_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], batch: int
) -> None:
    monkeypatch.setattr(cpu, "is_better", lambda *_: True)
    plain = load_engine(str(folder), device="cpu", acceleration="off")
    engine = load_engine(str(folder), device="cpu")
    data = trial_picture((batch, size[1], size[0], 3)).contiguous().numpy()
    style = replace(engine.default_style, num_inference_steps=2)
    exact, found = (
        torch.from_numpy(
            each.paint(
                data, each.noise(style, size), each.encode_prompt(style), each.schedule(style)
            )
        )
        for each in (plain, engine)
    )
    assert not torch.equal(exact, found)
    assert is_alike(found, exact, cpu.QUANTIZED_PSNR_DB)


@pytest.mark.slow
def test_the_bundled_model_in_integers_keeps_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "is_better", lambda *_: True)
    plain = load_engine("bundled", device="cpu", acceleration="off")
    engine = load_engine("bundled", device="cpu", acceleration="openvino")
    picture = trial_picture((1, 128, 128, 3))[0].numpy().copy()
    for prompt in ("oil painting", "ink drawing", "ukiyo-e"):
        style = replace(engine.default_style, prompt=prompt)
        exact, found = (paint(each, style, [picture]) for each in (plain, engine))
        assert is_alike((found + 1) * 127.5, (exact + 1) * 127.5, cpu.QUANTIZED_PSNR_DB)


# Trials


@pytest.fixture
def engine(folder: Path) -> Engine:
    return load_engine(str(folder), device="cpu", acceleration="off")


class Clock:
    """Every other painting takes as long as is said."""

    def __init__(self, own_s: float, other_s: float) -> None:
        self._steps = itertools.cycle((0, own_s, 0, other_s))
        self._now = 0.0

    def __call__(self) -> float:
        self._now += next(self._steps)
        return self._now


@pytest.mark.parametrize(
    ("own_s", "other_s", "expected"), [(2.0, 1.0, True), (1.0, 2.0, False), (1.05, 1.0, False)]
)
def test_a_trial_takes_the_quicker(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, own_s: float, other_s: float, expected: bool
) -> None:
    monkeypatch.setattr(trial.time, "process_time", Clock(own_s, other_s))
    before = engine.networks
    assert is_better(engine, engine.networks, 35.0) == expected
    assert engine.networks is before


def test_a_trial_refuses_another_picture(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(decode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda latents: decode(latents) + 0.1

    monkeypatch.setattr(trial.time, "process_time", Clock(2.0, 1.0))
    other = replace(engine.networks, decode=spoilt(engine.networks.decode))
    assert not is_better(engine, other, 35.0)
    assert is_better(engine, other, 20.0)


def test_a_failed_trial_leaves_the_engine_as_it_was(engine: Engine) -> None:
    def fail(_: Tensor) -> Tensor:
        raise RuntimeError("no")

    before = engine.networks
    with pytest.raises(RuntimeError, match="no"):
        is_better(engine, replace(engine.networks, decode=fail), 35.0)
    assert engine.networks is before
