"""The training stages in miniature, on pictures made here: each learns, resumes and refuses."""

import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from miniature import make_sd15, make_sdxl, save
from safetensors.torch import load_file, save_file

from models import Style, load_engine
from models.acceleration.cpu.quantization import RANGES_NAME
from models.autoencoder import AutoencoderPatch
from models.fields import noise_plane
from models.stem import Stem
from models.steps import lcm_timesteps
from models.styles import STYLES
from models.training import autoencoder, judge, lcm_lora, student, text
from models.training.average import WEIGHTS, average, parse
from models.training.batches import Batches, Crops, to_latent_noise
from models.training.denoiser import make_stem, make_unet
from models.training.evaluate import evaluate
from models.training.export import LARGEST_BYTES, adopt, export
from models.training.looks import GRID, PromptBank
from models.training.loop import Plan, fit
from models.training.material.packages import FetchError, verify
from models.training.material.paintings import PHOTO, SIDE, Paintings, folder_name, write
from models.training.material.pictures import CROP, cut, permissive_files, procedural
from models.training.material.rcc import read_rcc
from models.training.measures import paint
from models.training.painter import Painter
from models.training.sheets import make_sheet
from models.training.teachers import Sketch, latent_noise
from models.training.teachers import paint as taught

LOOKS = ("film noir", "neon", "vintage film")
CROPS = 4


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a few procedural pictures in three looks."""
    folder = tmp_path_factory.mktemp("runs")
    for side, start in (("train", 0), ("held_out", 100)):
        paintings = folder / "paintings" / side
        crops = []
        for name in (PHOTO, *map(folder_name, LOOKS)):
            (paintings / name).mkdir(parents=True)
        for index in range(CROPS if side == "train" else 2):
            photo = procedural(np.random.default_rng(start + index), SIDE)
            sketch = Sketch(photo, latent_noise(start + index))
            write(paintings / PHOTO / f"{index:06d}.jpg", photo, 97)
            for look in LOOKS:
                path = paintings / folder_name(look) / f"{index:06d}.jpg"
                write(path, taught(look, sketch), 95)
            crops.append({"index": index, "seed": start + index, "picture": "procedural"})
        (paintings / "crops.jsonl").write_text("\n".join(map(json.dumps, crops)) + "\n")
        (paintings / "pictures.json").write_text(json.dumps({"made/here": "nobody, CC0-1.0"}))
    return folder


@pytest.fixture(scope="module")
def trained(runs: Path) -> Path:
    """Text encoder, autoencoder and student, hardly trained."""
    torch.manual_seed(0)
    text.train(runs / "text", Plan(steps=50, batch=32, learning_rate=2e-3, warmup_steps=5))
    autoencoder.train(
        runs / "paintings/train", runs / "autoencoder",
        Plan(steps=60, batch=2, learning_rate=2e-3, warmup_steps=5),
    )  # fmt: skip
    student.train(runs, Plan(steps=60, batch=4, warmup_steps=5), window=64)
    return runs


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [sum(v for k, v in r.items() if k not in ("step", "samples_per_s")) for r in rows]


@pytest.fixture(scope="module", autouse=True)
def fine_log() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.loop.LOG_EVERY", 10)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["text", "autoencoder"])
def test_stage_learns(trained: Path, stage: str) -> None:
    history = losses(trained / stage)
    assert history[-1] < 0.8 * history[0]


@pytest.mark.slow
def test_student_learns_to_paint(trained: Path) -> None:
    """On the same batches, the trained parts are nearer to the paintings than untrained ones."""
    missed = []
    for folder in (None, trained / "student"):
        vae = (folder or trained / "autoencoder") / "vae"
        unet = make_unet()
        if folder is not None:
            unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        stem = make_stem() if folder is None else Stem.from_pretrained(folder / "stem")
        networks = student.Networks(unet, stem, AutoencoderPatch.from_pretrained(vae))
        bank = PromptBank.load(trained / "text" / "bank.safetensors")
        plan = Plan(steps=1, batch=6)
        batches = batches_of(trained, plain=0.0, mixed=0.0)
        loss = student.Student(networks, batches, bank, plan, 64)
        with torch.no_grad():
            missed.append(sum(loss(step)["picture"].item() for step in range(1, 5)))
    assert missed[1] < 0.95 * missed[0]


def test_later_steps_stand_where_sampling_puts_them() -> None:
    for strength in (0.3, 0.6, 0.9):
        for count in (2, 3, 4):
            taken = [GRID.index(t) for t in lcm_timesteps(count, strength)]
            first, steps = torch.full((count,), taken[0]), torch.arange(count)
            assert student.place_of(first, steps, torch.tensor(count)).tolist() == taken


def batches_of(runs: Path, size: int = 6, **shares: float) -> Batches:
    return Batches(Paintings(runs / "paintings/train"), size, seed=0, **shares)


def test_windows_show_one_place_in_all_that_a_batch_has(runs: Path) -> None:
    batch = batches_of(runs, plain=0.0, mixed=0.0).draw(0, 64)
    assert batch.frame.shape == (6, 3, 64, 64) and batch.painting.shape == (6, 3, 128, 128)
    assert batch.planes.shape == (6, 4, 32, 32) and batch.noise.shape == (6, 1, 32, 32)
    halves = torch.nn.functional.avg_pool2d(batch.photo, 2)
    assert (halves - batch.frame).abs().mean() < 0.05  # of 2; sensor noise in some rows
    crops = Crops(Paintings(runs / "paintings/train"))
    crops.refresh()
    whole = torch.stack([crops.planes(index, {}) for index in range(CROPS)])
    corner = batch.planes[0, 0, :8, :8]
    places = whole[:, 0].unfold(1, 8, 1).unfold(2, 8, 1)
    assert ((places - corner).abs().amax((-1, -2)) == 0).sum() == 1


def test_a_row_without_a_look_is_to_stay_the_photograph(runs: Path) -> None:
    batch = batches_of(runs, plain=1.0).draw(0, 64)
    assert torch.equal(batch.painting, batch.photo) and not batch.looks.any()


def test_mixed_rows_lie_between_both_paintings(runs: Path) -> None:
    batch = batches_of(runs, size=12, plain=0.0, mixed=1.0).draw(0, 64)
    mixed = batch.looks[:, 0] != batch.looks[:, 1]
    assert mixed.any() and (batch.share >= 0.3).all() and (batch.share <= 0.7).all()


def test_paintings_that_came_meanwhile_are_taken_in(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "paintings/train", tmp_path / "train")
    late = tmp_path / "train" / "neon"
    late.rename(tmp_path / "later")
    batches = Batches(Paintings(tmp_path / "train"), 4, seed=0)
    names = [s.prompt for s in STYLES]
    assert batches.refresh() == CROPS * (len(LOOKS) - 1)
    assert not (batches.windows(0, 64)[2] == 1 + names.index("neon")).any()
    (tmp_path / "later").rename(late)
    assert batches.refresh() == CROPS * len(LOOKS)
    drawn = torch.cat([batches.windows(step, 64)[2] for step in range(10)])
    assert (drawn == 1 + names.index("neon")).any()


def test_carried_noise_is_the_first_of_the_latents_planes() -> None:
    carried = torch.randn(2, 16, 4, 6)
    noise = to_latent_noise(noise_plane(carried), 32, torch.Generator().manual_seed(0))
    assert noise.shape == (2, 32, 4, 6)
    assert torch.equal(noise[:, :16], carried)


def test_an_earlier_autoencoder_is_taken_over() -> None:
    torch.manual_seed(0)
    earlier = AutoencoderPatch(latent_channels=16, encoder_layers=2, decoder_layers=3)
    for parameter in earlier.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model = autoencoder.make_autoencoder()
    autoencoder.adopt(model, earlier)
    assert torch.equal(model.encoder[1].weight, earlier.encoder[1].weight)
    assert torch.equal(model.encoder[2].conv1.weight, earlier.encoder[2].conv1.weight)
    assert torch.equal(model.decoder[0].weight[:, :16], earlier.decoder[0].weight)
    features = torch.randn(1, 64, 3, 3)
    exits = [part.decoder[-2:] for part in (model, earlier)]
    large, small = (leave(features) for leave in exits)
    enlarged = torch.nn.functional.interpolate(small, scale_factor=2)
    torch.testing.assert_close(large, enlarged, atol=1e-5, rtol=1e-5)


def test_harder_looks_are_drawn_more_often(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.batches.PRACTICE", {"neon": 4.0})
    batches = batches_of(runs, size=8)
    drawn = torch.cat([batches.windows(k, 64)[2] for k in range(20)])
    neon = 1 + [s.prompt for s in STYLES].index("neon")
    assert (drawn == neon).float().mean() > 0.5  # of three looks


@pytest.mark.slow
def test_judge_is_better_than_chance_on_pictures_it_has_not_seen(runs: Path) -> None:
    critic = judge.train(runs, Plan(steps=150, batch=6, learning_rate=2e-3, warmup_steps=5))
    held_out = Paintings(runs / "paintings/held_out")
    assert judge.held_out_accuracy(critic, held_out) > 0.5  # chance among three


@pytest.mark.slow
def test_exported_folder_has_all_parts_and_no_old_ranges(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / RANGES_NAME).touch()  # measured of other weights
    assert export(trained, tmp_path / "model") < LARGEST_BYTES
    assert not (tmp_path / "model" / RANGES_NAME).exists()
    index = json.loads((tmp_path / "model" / "model_index.json").read_text())
    assert all((tmp_path / "model" / name).is_dir() for name in ("unet", "stem", "vae"))
    assert index["stem"] == ["models.stem", "Stem"]


@pytest.mark.slow
def test_a_finished_model_is_trained_on(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "model")
    runs = tmp_path / "runs"
    adopt(tmp_path / "model", runs)
    (runs / "paintings").symlink_to(trained / "paintings")
    student.train(runs, Plan(steps=1, batch=2), window=64, start=tmp_path / "model")
    export(runs, tmp_path / "again")
    tokens = (tmp_path / name / "tokenizer" / "tokenizer.json" for name in ("model", "again"))
    assert len({path.read_text() for path in tokens}) == 1


@pytest.mark.slow
def test_evaluation_withholds_fields_and_swaps_latents(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "model")
    table = evaluate(tmp_path / "model", trained, pictures=1, looks=["neon"], steps=(1, 2))
    for name in ("band correlation, neon", "band correlation, no fields", "stroke energy",
                 "photograph's latents, PSNR at the frame's size",
                 "half and half of two looks' latents, PSNR"):  # fmt: skip
        assert np.isfinite(table[name])
    painter = Painter.load(tmp_path / "model")
    image, look = torch.rand(1, 3, 64, 64), painter.look("neon")
    noise = painter.noise(3, (64, 64))
    planes = painter.planes(image, look, noise)
    assert torch.equal(
        painter.latents(image, look, noise), painter.latents(image, look, noise, planes=planes)
    )
    withheld = painter.latents(image, look, noise, planes=painter.no_planes(image))
    assert not torch.equal(withheld, painter.latents(image, look, noise))


@pytest.mark.slow
def test_sheet_shows_student_over_teacher(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.jpg"
    make_sheet(trained / "student", trained, path, list(LOOKS), text=trained / "text",
               pictures=2, side=64, columns=4)  # fmt: skip
    assert cv2.imread(str(path)).shape == (2 * 2 * (64 + 18), 4 * 64, 3)


@pytest.mark.slow
def test_average_lies_between_its_parts(trained: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        export(trained, folder)
        (folder / RANGES_NAME).touch()
    weights = load_file(two / WEIGHTS)
    save_file({k: v + 1 for k, v in weights.items()}, two / WEIGHTS, metadata={"format": "pt"})
    average([(one, 3.0), (two, 1.0)], tmp_path / "mean")
    mean = load_file(tmp_path / "mean" / WEIGHTS)["conv_in.weight"]
    torch.testing.assert_close(mean, weights["conv_in.weight"] + 0.25, rtol=1e-3, atol=1e-3)
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


def test_a_teacher_of_another_kind_is_named(tmp_path: Path) -> None:
    folder = save(make_sdxl(), tmp_path / "teacher")
    with pytest.raises(ValueError, match="is no teacher for lcm-lora"):
        lcm_lora.Teacher.load(folder, torch.device("cpu"))


@pytest.mark.slow
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


@pytest.mark.slow
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
