"""The engine's benchmark: its GPU rows in miniature on the CPU, its figures, its words."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import contest as contests
import gpu_contestants as gpu
import numpy as np
import pytest
import streamdiffusion_contestants as streamdiffusion_rows
import table as tables
import torch
from contest import Contestant, EventStopwatch, Stopwatch, Unavailable, contest, make_frames, rows
from diffusers_contestants import diffusers_contestants
from miniature import SIZE, save_bundled_like
from painters import painter
from painting import CLOSE, ENGINES, STYLE, assert_same, divided, make_data
from random_models import Case, random_engine
from replays import Recorder
from roofline import Peak, Work, count_work, peak_of
from stream_batch import StreamBatch
from streamdiffusion_contestants import streamdiffusion_contestants

from models import Engine, Style, load_engine

BENCHMARKS = Path(contests.__file__).parent
CPU = torch.device("cpu")
PEAK = Peak(1.0, 10.0, "made up")
BLOCKED = ("av", "cv2", "typer", "rich", "stream")


def case(architecture: Any = "tiny", *, steps: int = 1, batch: int = 1) -> Case:
    return Case(architecture, Style("x", 0.5, steps), (64, 64), batch, CPU, torch.float32)


def with_stem(folder: Path) -> Engine:
    return load_engine(save_bundled_like(folder, stem=True), device="cpu", acceleration="off")


def table_of(case: Case, make: Any = gpu.gpu_contestants) -> dict[str, dict[str, Any]]:
    contestants = make(case, compiled=False)
    data = make_frames(*case.size, case.batch)
    contest(contestants, data, rounds=1, count=1)
    return {str(row["name"]): row for row in rows(contestants, data, PEAK)}


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are recorded and replayed on the CPU."""
    monkeypatch.setattr(gpu, "device_of", lambda case: Recorder())


class FakeStream:
    """What a row asks of StreamDiffusion, on our own networks."""

    def __init__(self, pipeline: Any, t_index_list: list[int], **settings: Any) -> None:
        self.pipeline, self.t_index_list, self.settings = pipeline, t_index_list, settings
        self.unet, self.vae = pipeline.unet, pipeline.vae
        self.image_processor = pipeline.image_processor
        FakeStream.last = self

    def prepare(self, prompt: str, **settings: Any) -> None:
        self.prepared = settings
        assert self.pipeline.encode_prompt(prompt=prompt)[0].ndim == 3

    def __call__(self, pictures: list[Any]) -> torch.Tensor:
        image = self.image_processor.preprocess(pictures)
        return self.vae.decode(self.vae.encode(image).latents).sample.detach()


@pytest.fixture
def streamdiffusion(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = ModuleType("streamdiffusion")
    package.StreamDiffusion = FakeStream
    monkeypatch.setitem(sys.modules, "streamdiffusion", package)
    monkeypatch.setitem(sys.modules, "streamdiffusion.image_utils", None)
    monkeypatch.setattr(streamdiffusion_rows, "version", lambda _: "0.1.1")


@pytest.fixture
def no_streamdiffusion(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(streamdiffusion_rows, "version", version)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "steps"), [("tiny", 1), ("tiny-xl", 2)])
def test_all_paint_the_picture_of_the_reference(
    architecture: Any, steps: int, no_streamdiffusion: None
) -> None:
    found = table_of(case(architecture, steps=steps))
    for name, row in found.items():
        if not name.startswith("StreamDiffusion"):
            assert "failure" not in row, row
        if name.startswith("StreamDiffusion"):
            assert row["failure"] == "not installed: pip install --no-deps streamdiffusion==0.1.1"
        else:  # that with another autoencoder by a reference of its own
            assert row["is_equal"] or row["psnr_db"] > 60, row
            assert row["fps"] > 0 and row["setup_s"] > 0 and row["floor_ms"] > 0


@pytest.mark.slow
def test_a_batch_is_painted_whole_and_counted_by_frames(no_streamdiffusion: None) -> None:
    found = table_of(case(batch=2))
    plain = found["ours, plain"]
    assert plain["fps"] == pytest.approx(2e3 / plain["p50_ms"])
    for name in ("ours, rewritten", "diffusers", "diffusers, TAESD"):
        assert found[name]["is_equal"] or found[name]["psnr_db"] > 60


def test_memory_counts_while_frames_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, most = [100e6], [100e6]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: taken[0])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: most[0])
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda: most.__setitem__(0, taken[0])
    )

    def load() -> None:
        taken[0] += 40e6
        most[0] = taken[0] + 50e6

    def paint(data: Any) -> Any:
        most[0] = max(most[0], taken[0] + 20e6 * len(painted))
        painted.append(data)
        return data

    painted: list[Any] = []
    one = Contestant("one", load=load, prepare=lambda _: paint)
    data = make_frames(8, 8)
    one.set_up(data, 1)
    assert (one.peak_mb, one.resident_mb) == (40, 40)
    taken[0] += 900e6  # another one comes
    one.round(data, 2, Stopwatch())
    assert one.peak_mb == 40 + 20 * 4


def test_streamdiffusion_is_called_as_it_wants(streamdiffusion: None) -> None:
    found = table_of(case(steps=2), streamdiffusion_contestants)
    stream = FakeStream.last
    assert stream.t_index_list == [25, 37]  # timesteps 499 and 259 of 999, 979 ...
    assert stream.prepared["num_inference_steps"] == 50
    assert stream.settings["frame_buffer_size"] == 1
    assert found["StreamDiffusion 0.1.1, none"]["note"] == "1 frame(s) late"
    assert "guided" in found["StreamDiffusion 0.1.1, self"]["note"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [(case("tiny-xl"), "does not serve SDXL"), (case(steps=2, batch=2), "one picture a call")],
)
def test_streamdiffusion_says_what_it_does_not_serve(
    asked: Case, reason: str, streamdiffusion: None
) -> None:
    assert reason in str(
        table_of(asked, streamdiffusion_contestants)["StreamDiffusion 0.1.1, none"]["failure"]
    )


def test_a_broken_streamdiffusion_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamdiffusion_rows, "version", lambda _: "0.1.1")
    monkeypatch.setitem(sys.modules, "streamdiffusion", None)
    with pytest.raises(Unavailable, match="cannot be imported here"):
        streamdiffusion_rows._import()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, as it imports Inductor
def test_peers_are_compiled_whole_as_is_advised(
    streamdiffusion: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[dict[str, Any]] = []

    def compile(call: Any, **settings: Any) -> Any:
        compiled.append(settings)
        return call

    def make(case: Case, **_: bool) -> list[Contestant]:
        plain, theirs = diffusers_contestants(case, compiled=True)[1:]
        return [plain, theirs, streamdiffusion_contestants(case, compiled=True)[-1]]

    monkeypatch.setattr(torch, "compile", compile)
    _, diffusers, stream = table_of(case(), make).values()
    assert diffusers["is_equal"] or diffusers["psnr_db"] > 60
    assert "failure" not in stream, stream
    assert len(compiled) == 2 + 3 and all(settings["fullgraph"] for settings in compiled)
    assert compiled[0]["options"]["max_autotune"] and compiled[0]["options"]["conv_1x1_as_mm"]


def contestant(name: str, paint: Any) -> Contestant:
    return Contestant(name, lambda: None, lambda _: paint, work=Work(2.0, 3.0))


def test_one_that_fails_keeps_its_row_and_costs_no_other() -> None:
    calls = []

    def fails_later(data: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("out of\n memory")
        return data

    found = [contestant("same", lambda data: data), contestant("late", fails_later)]
    data = make_frames(8, 8)
    contest(found, data, rounds=2, count=2)
    same, late = rows(found, data, PEAK)
    assert late["failure"] == "failed: RuntimeError: out of memory"
    assert same["is_equal"] and len(found[0].times_ms) == 4


def test_rounds_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contests, "WARM_UP_CALLS", 0)
    order: list[str] = []
    found = [contestant(n, lambda data, n=n: (order.append(n), data)[1]) for n in "ab"]
    contest(found, make_frames(8, 8), rounds=2, count=1)
    assert order == list("ab" + "ab" + "ab")  # set-up, and two rounds


class FakeEvent:
    now_ms = 0.0
    waits = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at_ms = FakeEvent.now_ms

    def synchronize(self) -> None:
        FakeEvent.waits += 1

    def elapsed_time(self, end: "FakeEvent") -> float:
        return end.at_ms - self.at_ms


def test_events_time_what_lies_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(FakeEvent, "now_ms", 0.0)
    monkeypatch.setattr(FakeEvent, "waits", 0)

    def paint(data: np.ndarray) -> np.ndarray:
        FakeEvent.now_ms += 4.0
        return data

    found = [contestant("timed", paint)]
    contest(found, make_frames(8, 8), rounds=1, count=3, stopwatch=EventStopwatch())
    row = rows(found, make_frames(8, 8), PEAK)[0]
    assert row["device_ms"] == 4.0
    assert row["share_of_roofline"] == pytest.approx(2.0 / 4.0)  # 2 GFLOP at 1 TFLOP/s
    assert Stopwatch().laps_ms() == []
    assert FakeEvent.waits == 1  # nothing waits between two calls


def test_a_reference_that_fails_costs_no_figures() -> None:
    def fail() -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    found = [contestant("first", lambda data: data), contestant("other", lambda data: data)]
    found[1].reference = fail
    contest(found, make_frames(8, 8), rounds=1, count=2)
    row = rows(found, make_frames(8, 8), PEAK)[1]
    assert row["p50_ms"] > 0 and row["psnr_db"] is None
    assert row["note"] == "no reference: OutOfMemoryError"


def test_the_floor_is_the_longer_of_products_and_weights() -> None:
    assert PEAK.floor_ms(Work(gflop=2.0, weights_mb=3.0)) == 2.0
    assert PEAK.floor_ms(Work(gflop=2.0, weights_mb=30.0)) == 3.0


def test_work_is_counted_without_weights_and_grows_as_it_should() -> None:
    one, two = case(steps=1), case(steps=2)
    counted = count_work(random_engine("tiny", CPU, torch.float32), one.style, one.size, 1)
    # attention is one operation on a CPU and several on no device, not counted quite alike
    assert one.work("tiny").gflop == pytest.approx(counted.gflop, rel=0.01)
    assert one.work("tiny").weights_mb == counted.weights_mb
    unet = two.work("tiny").gflop - one.work("tiny").gflop
    assert case(batch=4).work("tiny").gflop == pytest.approx(4 * one.work("tiny").gflop)
    assert 0 < unet < one.work("tiny").gflop


def test_a_card_that_is_not_in_the_table_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, tflops in (("NVIDIA H100 80GB HBM3", 989), ("NVIDIA T4", PEAK.tflops)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        assert peak_of(torch.device("cuda"), PEAK).tflops == tflops
    assert peak_of(CPU, PEAK) is PEAK


BLOCKER = """
import runpy, sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.argv = {arguments!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_it_runs_without_av_cv2_and_typer_and_ends_in_json(tmp_path: Path) -> None:
    script, written = str(BENCHMARKS / "engine.py"), tmp_path / "result.json"
    arguments = [script, "--device", "cpu", "--architecture", "tiny", "--size", "64", "--quick"]
    arguments += ["--rounds", "1", "--frames", "1", "--only", "ours", "--json", str(written)]
    arguments += ["--chart", str(tmp_path / "chart.png")]
    code = BLOCKER.format(blocked=(*BLOCKED, "matplotlib"), arguments=arguments)
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=BENCHMARKS.parent,
        env={"PYTHONPATH": str(BENCHMARKS), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert tables.NO_MATPLOTLIB in lines
    result = json.loads(lines[-1])
    assert result == json.loads(written.read_text())
    names = [row["name"] for row in result["tables"][0]["rows"]]
    assert names and all(name.startswith("ours") for name in names)


def test_a_chart_has_a_bar_for_each_row_that_stands(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    standing = {"name": "ours", "fps": 3.0}
    table = {"title": "one", "rows": [standing, {"name": "gone", "failure": "not installed"}]}
    failed = {"title": "two", "rows": [{"name": "gone", "failure": "not installed"}]}
    tables.draw([table, failed], tmp_path / "chart.png", "a machine")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nothing could be measured"):
        tables.draw([failed], tmp_path / "none.png")


def test_the_table_shows_failures_and_equal_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    found = [contestant(n, lambda data: data) for n in ("first", "second")]
    broken = Contestant("third", lambda: 1 / 0, lambda _: lambda data: data)
    data = make_frames(8, 8)
    contest([*found, broken], data, rounds=1, count=1)
    tables.show({"title": "three", "rows": rows([*found, broken], data, PEAK)})
    title, head, first, second, third = capsys.readouterr().out.strip().splitlines()
    assert (title, "PSNR dB" in head, "equal" in first, "equal" in second) == (
        *("three", True),
        *(False, True),
    )
    assert third.endswith("failed: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("kind", ["lcm", "bundled", "stem"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_stream_batch_paints_each_frame_as_step_by_step(
    kind: str, steps: int, tmp_path: Path
) -> None:
    style = replace(STYLE, num_inference_steps=steps)
    engine = divided({**ENGINES, "stem": with_stem}[kind](tmp_path))
    frames = [make_data(seed) // (seed + 1) for seed in range(5)]
    late = StreamBatch(engine, style, SIZE)
    ours = [late(frame) for frame in [*frames, *frames[: steps - 1]]][steps - 1 :]
    paint = painter(engine, style, SIZE)
    for picture, frame in zip(ours, frames, strict=True):
        assert_same(picture, paint(frame))
    different = [np.abs(ours[0].astype(int) - other.astype(int)).max() for other in ours[1:]]
    assert min(different) > CLOSE
