"""Models kept on disk: the same picture as the plain engine, from less; damage and refusals."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from miniature import SIZE, save_bundled_like

from models import Engine, Style, load_engine
from models.acceleration.cache.digests import DIGESTS_NAME, is_whole
from models.acceleration.cache.folder import FOLDER_VARIABLE, cache_folder
from models.acceleration.cpu import openvino_cache as kept
from models.acceleration.cpu.openvino_cache import FACTS, load_cached
from models.presets import Preset

pytest.importorskip("openvino")

STYLE = Style(prompt="oil:0.5 | neon:0.5", strength=0.7, num_inference_steps=2)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    return Preset("little", save_bundled_like(tmp_path_factory.mktemp("model") / "little"))


class Loads:
    """Loads the plain engine and counts how often."""

    def __init__(self, preset: Preset) -> None:
        self.preset, self.count = preset, 0

    def __call__(self) -> Engine:
        self.count += 1
        return load_engine(self.preset.source, device="cpu", acceleration="off")


@pytest.fixture(scope="module")
def root(preset: Preset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that has been filled once."""
    root = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(root))
        assert load_cached(preset, Loads(preset)) is not None
    return root


@pytest.fixture
def filled(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(root))
    return root


def paint(engine: Engine) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 3, SIZE[1], SIZE[0], generator=generator) * 2 - 1
    latents = engine.denoise(
        engine.encode(image),
        engine.noise(STYLE, SIZE),
        engine.encode_prompt(STYLE),
        engine.schedule(STYLE),
    )
    return engine.decode(latents)


def test_a_later_start_loads_nothing_and_paints_the_same(preset: Preset, filled: Path) -> None:
    loads = Loads(preset)
    first, second = load_cached(preset, loads), load_cached(preset, loads)
    assert first is not None and second is not None
    assert loads.count == 0
    assert torch.equal(paint(first), paint(second))
    assert any("OpenVINO" in note for note in first.notes)


def test_it_paints_what_the_plain_engine_paints(preset: Preset, filled: Path) -> None:
    loads = Loads(preset)
    engine, plain = load_cached(preset, loads), loads()
    assert engine is not None
    expected, error = paint(plain), (paint(engine) - paint(plain)).abs()
    assert error.mean() < 0.02 * expected.std()
    assert engine.latent_shape(SIZE) == plain.latent_shape(SIZE)
    assert engine.native_size == plain.native_size


@pytest.mark.parametrize("prompt", ["", "oil painting", "Oil  PAINTING, 3.", "x " * 40])
def test_prompts_become_the_same_embeddings(preset: Preset, filled: Path, prompt: str) -> None:
    loads = Loads(preset)
    engine, plain = load_cached(preset, loads), loads()
    assert engine is not None
    found, expected = (one.encode_prompt(Style(prompt=prompt)) for one in (engine, plain))
    torch.testing.assert_close(found.prompt_embeds, expected.prompt_embeds, atol=1e-5, rtol=1e-4)
    assert found.notes == expected.notes


def test_what_openvino_refuses_runs_plain(
    preset: Preset, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(preset)
    engine = load_cached(preset, loads)
    assert engine is not None
    encode = engine.networks.encode
    monkeypatch.setattr(encode, "_compile", lambda shapes: None)
    image = torch.zeros(1, 3, SIZE[1], SIZE[0])
    assert torch.equal(encode(image), loads().networks.encode(image))
    assert loads.count == 2  # once for the call, once for the comparison


def _lose_facts(place: Path) -> None:
    (place / FACTS).unlink()


def _tear_weights(place: Path) -> None:
    (place / "body.xml").write_text("<net")


def _garble_facts(place: Path) -> None:
    (place / FACTS).write_text("{}")


def _zero_weights(place: Path) -> None:
    path = place / "body.bin"
    path.write_bytes(bytes(path.stat().st_size))


def _lose_seal(place: Path) -> None:
    (place / DIGESTS_NAME).unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [_lose_facts, _tear_weights, _garble_facts, _zero_weights, _lose_seal]
)
def test_what_is_damaged_is_made_again(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    loads = Loads(preset)
    load_cached(preset, loads)
    (place,) = tmp_path.iterdir()
    damage(place)
    assert load_cached(preset, loads) is not None
    assert loads.count == 2
    assert json.loads((place / FACTS).read_text())["networks"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["zeros", "half", "unknown"])
def test_damaged_plans_are_made_again(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    loads = Loads(preset)
    first = load_cached(preset, loads)
    assert first is not None
    expected = paint(first)
    (place,) = tmp_path.iterdir()
    plans = [path for path in (place / "plans").iterdir() if path.name != DIGESTS_NAME]
    assert plans
    for plan in plans:
        good = plan.read_bytes()
        match damage:
            case "zeros":
                plan.write_bytes(good[: len(good) // 2] + bytes(len(good) - len(good) // 2))
            case "half":
                plan.write_bytes(good[: len(good) // 2])
            case "unknown":
                plan.with_name("9.blob").write_bytes(good)
    engine = load_cached(preset, loads)
    assert engine is not None
    assert torch.equal(paint(engine), expected)
    assert loads.count == 1  # the traces are as good as ever
    assert is_whole(place / "plans")
    assert len(list((place / "plans").iterdir())) == len(plans) + 1  # the seal


@pytest.mark.slow
def test_another_model_file_makes_a_new_one_and_the_oldest_go(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(kept, "MOST_KEPT", 1)
    loads = Loads(preset)
    load_cached(preset, loads)
    (before,) = tmp_path.iterdir()
    extra = Path(preset.source) / "note.txt"
    extra.write_text("another")
    try:
        load_cached(preset, loads)
    finally:
        extra.unlink()
    assert loads.count == 2
    (after,) = tmp_path.iterdir()
    assert after != before


def test_another_process_that_is_quicker_is_no_obstacle(
    preset: Preset, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place,) = filled.iterdir()
    before = (place / FACTS).stat()
    monkeypatch.setattr(kept, "_write", lambda _, folder, __: (folder / FACTS).write_text("{}"))
    kept._keep(load_engine(preset.source, device="cpu", acceleration="off"), place, None)
    assert list(filled.iterdir()) == [place]
    assert (place / FACTS).stat().st_mtime_ns == before.st_mtime_ns


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    loads = cache(Loads(preset))
    assert load_cached(preset, loads) is None
    assert any("cannot be kept in" in note and FOLDER_VARIABLE in note for note in loads().notes)
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert cache_folder() is None
    assert load_cached(preset, Loads(preset)) is None


def test_no_home_folder_is_no_obstacle(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, "~no-such-user/cache")
    loads = cache(Loads(preset))
    assert load_cached(preset, loads) is None
    assert any("kept anywhere" in note and FOLDER_VARIABLE in note for note in loads().notes)


def test_others_may_read_what_is_kept(filled: Path, preset: Preset) -> None:
    engine = load_cached(preset, Loads(preset))
    assert engine is not None
    paint(engine)
    own = filled / "as other folders"
    own.mkdir()
    wanted = own.stat().st_mode & 0o055
    own.rmdir()
    (place,) = filled.iterdir()
    folders = [place, place / "plans"]
    assert [folder.stat().st_mode & 0o055 for folder in folders] == [wanted] * 2
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 8 and all(path.stat().st_mode & 0o044 == wanted & 0o044 for path in files)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_cache_that_may_only_be_read_serves_without_plans(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    loads = Loads(preset)
    load_cached(preset, loads)
    (place,) = tmp_path.iterdir()
    shutil.rmtree(place / "plans")
    place.chmod(0o555)
    try:
        engine = load_cached(preset, loads)
        assert engine is not None
        paint(engine)
    finally:
        place.chmod(0o755)
    assert loads.count == 1


def test_plans_take_so_much_of_the_disk_and_no_more(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    loads = Loads(preset)
    engine = load_cached(preset, loads)
    assert engine is not None
    paint(engine)
    (plans,) = tmp_path.glob("*/plans")
    blobs = [path for path in plans.iterdir() if path.name != DIGESTS_NAME]
    room = sum(path.stat().st_size for path in blobs)
    monkeypatch.setattr("models.acceleration.cpu.openvino.MOST_PLANS_BYTES", room)
    engine.networks.encode(torch.zeros(1, 3, 2 * SIZE[1], SIZE[0]))
    left = [path for path in plans.iterdir() if path.name != DIGESTS_NAME]
    assert sum(path.stat().st_size for path in left) <= room
    assert set(left) - set(blobs) and set(blobs) - set(left)  # the new one is there, an old one not
    assert load_cached(preset, loads) is not None


@pytest.mark.slow
def test_a_later_start_of_the_bundled_model_imports_neither_diffusers_nor_transformers(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from models import load_engine; load_engine('bundled', device='cpu'); "
        "print(*({'diffusers', 'transformers', 'torch._dynamo'} & set(sys.modules)))"
    )
    environment = os.environ | {FOLDER_VARIABLE: str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            cwd=Path(__file__).parents[4],
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
    assert done.stdout.strip() == ""
