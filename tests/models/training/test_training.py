"""The training stages in miniature, on pictures made here: each learns, resumes and refuses."""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from miniature import make_sd15, save
from safetensors.torch import load_file, save_file

from models import Style, load_engine
from models.acceleration.cpu.quantization import RANGES_NAME
from models.autoencoder import AutoencoderPatch
from models.steps import lcm_timesteps
from models.styles import STYLES
from models.training import autoencoder, consistency, diffusion, judge, lcm_lora, paired, text
from models.training.average import WEIGHTS, average, parse
from models.training.batches import TWIN_SHIFT, Batches
from models.training.export import adopt, export
from models.training.looks import GRID
from models.training.loop import Plan, fit
from models.training.material.packages import FetchError, verify
from models.training.material.pairs import Pairs
from models.training.material.pictures import CROP, cut, permissive_files, procedural
from models.training.material.rcc import read_rcc
from models.training.measures import paint
from models.training.teachers.renderers import RENDERERS

LOOKS = ("neon", "film noir", "pop art", "ink drawing")
CROPS = 12


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a dozen procedural pictures in four looks."""
    folder = tmp_path_factory.mktemp("runs")
    pairs = folder / "pairs" / "train"
    pairs.mkdir(parents=True)
    names = [s.prompt for s in STYLES]
    photos = np.stack([procedural(np.random.default_rng(k)) for k in range(CROPS)])
    targets = np.stack([[RENDERERS[look](photo) for look in LOOKS] for photo in photos])
    looks = np.tile(np.array([names.index(look) for look in LOOKS], np.uint8), (CROPS, 1))
    arrays = {
        "photos": photos,
        "targets": targets,
        "looks": looks,
        "done": np.ones(CROPS, np.uint8),
    }
    for name, array in arrays.items():
        np.save(pairs / f"{name}.npy", array)
    (pairs / "pictures.json").write_text(json.dumps({"made/here": "nobody, CC0-1.0"}))
    return folder


@pytest.fixture(scope="module")
def trained(runs: Path) -> Path:
    """Text encoder, autoencoder and teacher, hardly trained."""
    torch.manual_seed(0)
    text.train(runs / "text", Plan(steps=50, batch=32, learning_rate=2e-3, warmup_steps=5))
    autoencoder.train(
        runs / "pairs/train", runs / "autoencoder", Plan(steps=50, batch=4, warmup_steps=5)
    )
    diffusion.train(runs, Plan(steps=100, batch=4, warmup_steps=5), window=64)
    return runs


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [sum(v for k, v in r.items() if k not in ("step", "samples_per_s")) for r in rows]


@pytest.fixture(scope="module", autouse=True)
def fine_log() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.loop.LOG_EVERY", 10)
        yield


@pytest.mark.parametrize("stage", ["text", "autoencoder", "teacher"])
def test_stage_learns(trained: Path, stage: str) -> None:
    history = losses(trained / stage)
    assert history[-1] < 0.8 * history[0]


def test_student_learns_the_known_ends_of_a_batch(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "ECHOES", 10_000)  # the same pictures, ever another noise and start
    plan = Plan(steps=60, batch=4, warmup_steps=10)
    examples, autoencoder = diffusion.open_examples(trained, plan, torch.device("cpu"), twins=2)

    def missed(unet: UNet2DConditionModel) -> float:
        loss = paired.Paired(unet, examples, autoencoder, None, trained, plan, 128)
        with torch.no_grad():
            return sum(loss(step)["latents"].item() for step in range(1000, 1008))

    before = missed(UNet2DConditionModel.from_pretrained(trained / "teacher" / "unet"))
    student = consistency.train(trained, plan, objective="paired", window=128, with_critic=False)
    assert missed(student) < 0.8 * before


def test_drawn_corners_trim_only_what_the_decoder_should_have_seen_beyond() -> None:
    at_border = 0
    for seed in range(60):
        corner, area, inner = paired.drawn_corner(24, torch.Generator().manual_seed(seed))
        latents, pixels = torch.zeros(1, 1, 24, 24)[corner], torch.zeros(1, 3, 192, 192)[area]
        assert latents.shape[2:] == (16, 16) and pixels.shape[2:] == (128, 128)
        for axis in (1, 2):
            start, stop = corner[axis].start, corner[axis].stop
            assert (inner[axis].start == 0) == (start == 0)
            assert (inner[axis].stop is None) == (stop == 24)
            at_border += start == 0 or stop == 24
    assert 40 < at_border < 100  # of 120


def test_later_steps_stand_where_sampling_puts_them() -> None:
    for strength in (0.3, 0.6, 0.9):
        for count in (2, 3, 4):
            taken = [GRID.index(t) for t in lcm_timesteps(count, strength)]
            first, steps = torch.full((count,), taken[0]), torch.arange(count)
            assert paired.place_of(first, steps, torch.tensor(count)).tolist() == taken


def test_twins_show_the_same_a_part_of_a_cell_apart(runs: Path) -> None:
    batches = Batches(Pairs.open(runs / "pairs/train"), 6, torch.device("cpu"), seed=0)
    batch = batches.paired(0, window=192, twins=3)
    assert torch.equal(batch.looks[:3], batch.looks[3:])
    apart = (batch.corners[:3] - batch.corners[3:]).abs()
    assert 0 < apart.max() <= TWIN_SHIFT
    same = paired.twin_loss(batch.first, batch.corners, 3)
    elsewhere = paired.twin_loss(batch.first, batch.corners.flip(0), 3)
    assert same == 0 and elsewhere > 0.01


@pytest.mark.parametrize("cell", [1, 8])
def test_a_later_step_keeps_areas_and_paints_strokes(cell: int) -> None:
    side = 24 * cell
    generator = torch.Generator().manual_seed(0)
    strokes = torch.randn(2, 3, side, side, generator=generator)
    strokes -= torch.nn.functional.avg_pool2d(strokes, 3, 1, 1, count_include_pad=False)
    before = torch.full((2, 3, side, side), 0.5)
    later = torch.tensor([True, False]).view(2, 1, 1, 1)
    wanted = paired.keeping_areas(strokes, before, later, cell)
    assert torch.equal(wanted[1], strokes[1])  # a first step has nothing to keep
    inner = (..., slice(2 * cell, -2 * cell), slice(2 * cell, -2 * cell))
    means = wanted[0].unflatten(1, (4, -1)).unflatten(3, (4, -1)).mean((2, 4))
    torch.testing.assert_close(means, torch.full_like(means, 0.5), atol=0.15, rtol=0)
    kept, drawn = (
        picture[inner].flatten() - picture[inner].mean() for picture in (wanted[0], strokes[0])
    )
    assert torch.cosine_similarity(kept, drawn, dim=0) > 0.9


def test_a_decoder_that_is_kept_is_not_trained(trained: Path, tmp_path: Path) -> None:
    for part in ("pairs", "autoencoder", "text"):
        (tmp_path / part).symlink_to(trained / part)
    consistency.train(
        tmp_path, Plan(steps=1, batch=2), objective="paired", window=128, with_critic=False,
        start=trained / "teacher" / "unet", keep_decoder=True,
    )  # fmt: skip
    assert (tmp_path / "paired" / "unet").is_dir()
    assert not (tmp_path / "paired" / "vae").exists()
    state = torch.load(tmp_path / "paired" / "checkpoint.pt", weights_only=True)
    assert all(name.startswith("unet.") for name in state["module"])
    with pytest.raises(ValueError, match="trained other parts"):
        consistency.train(tmp_path, Plan(steps=2, batch=2), objective="paired", window=128,
                          with_critic=False, start=trained / "teacher" / "unet")  # fmt: skip


def test_a_tint_counts_more_than_a_grain() -> None:
    grey, random = torch.zeros(1, 3, 64, 64), torch.Generator().manual_seed(0)
    tinted = grey + torch.tensor([0.05, 0.0, -0.05]).view(1, 3, 1, 1)
    grainy = grey + 0.05 * torch.randn(grey.shape, generator=random).sign()
    brighter = grey + 0.033
    assert paired.tint_loss(grey, grey) == 0
    assert paired.tint_loss(tinted, grey) > 2 * paired.tint_loss(brighter, grey)
    assert paired.tint_loss(tinted, grey) > 5 * paired.tint_loss(grainy, grey)


def test_harder_looks_are_drawn_more_often(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.batches.PRACTICE", {"neon": 4.0})
    batches = Batches(Pairs.open(runs / "pairs/train"), 8, torch.device("cpu"), seed=0)
    drawn = torch.cat([batches.paired(k, window=64).looks[:, 0] for k in range(40)])
    neon = [s.prompt for s in STYLES].index("neon")
    assert (drawn == neon).float().mean() > 0.4  # of four looks


def test_student_learns_from_the_teachers_ode(trained: Path) -> None:
    plan = Plan(steps=20, batch=2, learning_rate=2e-4, warmup_steps=5)
    consistency.train(trained, plan, objective="lcd", window=64)
    assert all(np.isfinite(losses(trained / "lcd")))


def test_judge_is_better_than_chance_on_pictures_it_has_not_seen(runs: Path) -> None:
    critic = judge.train(runs, Plan(steps=60, batch=8, learning_rate=3e-3, warmup_steps=5))
    fresh = [procedural(np.random.default_rng(1000 + k)) for k in range(8)]
    names = [s.prompt for s in STYLES]
    right = 0
    for look in LOOKS:
        pictures = np.stack([RENDERERS[look](p)[8:264, 8:264] for p in fresh])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        right += int((critic(images).argmax(1) == names.index(look) + 1).sum())
    assert right / (8 * len(LOOKS)) > 0.5  # chance among four: 0.25


def test_exported_folder_is_a_model_like_any_other(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / RANGES_NAME).touch()  # measured of other weights
    size = export(trained, tmp_path / "model", unet="teacher")
    engine = load_engine(str(tmp_path / "model"), device="cpu", dtype=torch.float32)
    assert size < 12_000_000
    assert engine.latent_shape((256, 128)) == (16, 16, 32)


def test_a_finished_model_is_trained_on(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "model", unet="teacher")
    runs = tmp_path / "runs"
    adopt(tmp_path / "model", runs)
    (runs / "pairs").symlink_to(trained / "pairs")
    student = consistency.train(
        runs, Plan(steps=1, batch=2), objective="paired", window=128, with_critic=False,
        start=tmp_path / "model" / "unet",
    )  # fmt: skip
    student.save_pretrained(runs / "paired" / "unet")
    export(runs, tmp_path / "again")
    tokens = (tmp_path / name / "tokenizer" / "tokenizer.json" for name in ("model", "again"))
    assert len({path.read_text() for path in tokens}) == 1


def test_average_lies_between_its_parts(trained: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        export(trained, folder, unet="teacher")
        (folder / RANGES_NAME).touch()
    weights = load_file(two / WEIGHTS)
    save_file({k: v + 1 for k, v in weights.items()}, two / WEIGHTS, metadata={"format": "pt"})
    average([(one, 3.0), (two, 1.0)], tmp_path / "mean")
    mean = load_file(tmp_path / "mean" / WEIGHTS)["conv_in.weight"]
    torch.testing.assert_close(mean, weights["conv_in.weight"] + 0.25, rtol=1e-3, atol=1e-3)
    load_engine(str(tmp_path / "mean"), device="cpu", dtype=torch.float32)
    assert not (tmp_path / "mean" / RANGES_NAME).exists()  # they were of other weights
    with pytest.raises(ValueError, match="positive weights"):
        average([(one, 0.0)], tmp_path / "none")
    with pytest.raises(ValueError, match="expected FOLDER=WEIGHT"):
        parse("folder")


@pytest.fixture
def full_size(tmp_path: Path) -> tuple[str, list[Path]]:
    """A miniature of a true SD 1.5 folder, and captioned pictures."""
    for k in range(3):
        picture = procedural(np.random.default_rng(k), 64)
        cv2.imwrite(str(tmp_path / f"a_shape_{k}.png"), picture)
    (tmp_path / "a_shape_0.txt").write_text("a red shape")
    return save(make_sd15(), tmp_path / "teacher"), lcm_lora.find_pictures(tmp_path)


def test_lora_of_a_full_size_teacher_learns(
    full_size: tuple[str, list[Path]], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    teacher = lcm_lora.Teacher.load(full_size[0], torch.device("cpu"))
    additions = lcm_lora.Additions(teacher.unet, rank=4)
    plan = Plan(steps=20, batch=2, learning_rate=3e-3, warmup_steps=2)
    loss = lcm_lora.Distillation(teacher, additions, full_size[1], plan, window=64)

    def seen() -> float:
        with torch.no_grad():
            return sum(loss(step)["consistency"].item() for step in range(6))

    before = seen()
    fit(additions, loss, plan, tmp_path / "run")
    assert seen() < 0.95 * before
    with additions.off():
        assert seen() == pytest.approx(before, rel=1e-3)


def test_lora_file_is_fused_by_the_ordinary_loader(
    full_size: tuple[str, list[Path]], tmp_path: Path
) -> None:
    teacher, pictures = full_size
    plan = Plan(steps=3, batch=1, learning_rate=2e-3, warmup_steps=0)
    path = lcm_lora.train(teacher, pictures, tmp_path / "run", plan, rank=4, window=64)
    picture = procedural(np.random.default_rng(9), 64)
    painted = []
    for loras in ((), (str(path),)):
        engine = load_engine(teacher, device="cpu", dtype=torch.float32, loras=loras)
        painted.append(paint(engine, Style("a shape", strength=0.5), [picture]))
    assert not torch.allclose(painted[0], painted[1])


def test_unfinished_crops_are_left_out(runs: Path, tmp_path: Path) -> None:
    for name in ("photos", "targets", "looks"):
        np.save(tmp_path / f"{name}.npy", np.load(runs / f"pairs/train/{name}.npy"))
    np.save(tmp_path / "done.npy", np.array([1, 0, 1] + [0] * (CROPS - 3), np.uint8))
    assert Pairs.open(tmp_path).rows.tolist() == [0, 2]


def test_changed_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "package.whl"
    path.write_bytes(b"not what was pinned")
    with pytest.raises(FetchError, match="has changed: got sha256"):
        verify(path, "0" * 64)


def test_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"package\.whl was not downloaded"):
        verify(tmp_path / "package.whl", "0" * 64)


def test_only_permissive_pictures_are_taken() -> None:
    listed = """Files: a/one.jpg
Copyright: 2015 Somebody
License: CC-BY-2.0

Files: a/two.jpg
Copyright: 2015 Somebody
License: CC-BY-SA-3.0

Files: a/three.png
Copyright: none
License: public-domain
"""
    assert permissive_files(listed) == {
        "a/one": "2015 Somebody, CC-BY-2.0",
        "a/three": "none, public-domain",
    }


def test_qt_container_is_read(tmp_path: Path) -> None:
    content = zlib.compress(b"a picture")
    name = "x.webp".encode("utf-16-be")
    names = struct.pack(">HI", 6, 0) + name
    data = struct.pack(">I", len(content) + 4) + struct.pack(">I", 9) + content
    tree = struct.pack(">IHII", 0, 2, 1, 1) + struct.pack(">IHHHI", 0, 1, 0, 0, 0)
    head = struct.pack(">4sIIII", b"qres", 1, 20, 20 + len(tree), 20 + len(tree) + len(data))
    path = tmp_path / "c.rcc"
    path.write_bytes(head + tree + data + names)
    assert list(read_rcc(path)) == [("/x.webp", b"a picture")]


@pytest.mark.parametrize("look", sorted(RENDERERS))
def test_renderer_moves_with_the_picture(look: str) -> None:
    """The painting of a shifted picture is the shifted painting, away from the border."""
    picture = procedural(np.random.default_rng(3), CROP)
    a = RENDERERS[look](np.ascontiguousarray(picture[:200, :200]))
    b = RENDERERS[look](np.ascontiguousarray(picture[7:207, 11:211]))
    inner_a, inner_b = a[70:140, 70:140], b[63:133, 59:129]
    difference = np.abs(inner_a.astype(int) - inner_b.astype(int)).mean()
    assert difference < 1.5
    assert np.abs(a.astype(int) - picture[:200, :200].astype(int)).mean() > 4


def test_crops_are_seeded() -> None:
    picture = procedural(np.random.default_rng(0), 300)
    one, two = (cut(picture, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, two) and one.shape == (CROP, CROP, 3)


def test_autoencoder_is_local() -> None:
    """A change in one corner leaves the far corner bit for bit as it was."""
    torch.manual_seed(0)
    model = AutoencoderPatch(latent_channels=4, block_out_channels=(8, 8), encoder_layers=1)
    image = torch.zeros(1, 3, 256, 256)
    changed = image.clone()
    changed[..., :8, :8] = 1
    with torch.inference_mode():
        a, b = model(image), model(changed)
    assert torch.equal(a[..., 200:, 200:], b[..., 200:, 200:])
    assert not torch.equal(a[..., :32, :32], b[..., :32, :32])
