"""Fetching from a hub: a fake one on this machine, over HTTP; every way in which it can fail."""

import errno
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub, point_at, serve
from miniature import make_lcm, make_sdxl, make_unet, make_vae, save
from ports import free_port
from safetensors.torch import save_file

from models import (
    PRESETS,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
    Preset,
    is_present,
)
from models.components import Loader
from models.weights.hub import Hub, HubName, explain
from models.weights.lora import read_lora

MODEL = "painter/lcm"
FLOAT = torch.float32


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole miniature pipeline, with files that no load wants."""
    folder = tmp_path_factory.mktemp("published") / "lcm"
    save(make_lcm(), folder)
    (folder / "README.md").write_text("a card")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"not wanted")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pipeline: Path) -> Iterator[FakeHub]:
    with serve(monkeypatch, tmp_path / "cache") as running:
        running.repositories[MODEL] = pipeline
        yield running


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub at all: a port where nobody listens; the cache's folder."""
    point_at(monkeypatch, f"http://127.0.0.1:{free_port()}", tmp_path / "cache")
    return tmp_path / "cache"


def load(preset: Preset, **settings: bool) -> Loader:
    loader = Loader(preset, torch.device("cpu"), FLOAT, Hub(**settings))
    loader.engine()
    return loader


def downloads(hub: FakeHub) -> list[str]:
    return [line.partition("resolve/")[2].partition("/")[2] for line in hub.asked if "GET" in line
            and "resolve" in line]  # fmt: skip


# what works


def test_what_is_loaded_is_fetched_once_and_nothing_else(hub: FakeHub) -> None:
    preset = Preset("mini", MODEL)
    assert not is_present(preset)
    load(preset)
    assert is_present(preset)
    fetched = downloads(hub)
    assert "unet/diffusion_pytorch_model.safetensors" in fetched
    assert fetched[-1] == "model_index.json"  # the mark of a whole model
    assert not {"README.md", "safety_checker/model.safetensors"} & set(fetched)
    assert len(fetched) == len(set(fetched))
    hub.asked.clear()
    load(preset)
    assert downloads(hub) == []


def test_a_commit_that_is_here_is_not_asked_for(hub: FakeHub) -> None:
    preset = Preset("mini", f"{MODEL}@{COMMIT}")
    load(preset)
    hub.asked.clear()
    load(preset)
    assert hub.asked == []


def test_a_download_is_told_of_byte_by_byte(hub: FakeHub, pipeline: Path) -> None:
    told: list[tuple[str, int, int]] = []
    preset = Preset("mini", MODEL)
    hub_here = Hub(on_download=lambda *words: told.append(words))
    Loader(preset, torch.device("cpu"), FLOAT, hub_here).engine()
    done = [bytes_here for _, bytes_here, _ in told]
    total = sum((pipeline / name).stat().st_size for name in downloads(hub))
    assert {source for source, _, _ in told} == {MODEL}
    assert {all_bytes for _, _, all_bytes in told} == {total}
    assert done == sorted(done) and done[-1] == total
    told.clear()
    Loader(preset, torch.device("cpu"), FLOAT, hub_here).engine()
    assert told == []


@pytest.mark.parametrize("worth_resuming", [True, False], ids=["ours", "the library's"])
def test_a_connection_that_breaks_off_is_made_again(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, worth_resuming: bool
) -> None:
    monkeypatch.setattr(
        "models.weights.hub.WORTH_RESUMING_BYTES", 10_000 if worth_resuming else 10**9
    )
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits before it tries again
    hub.cut_after = 3000
    load(Preset("mini", MODEL))
    assert "bytes=3000-" in hub.ranges


def test_a_program_that_was_ended_goes_on_where_it_stopped(
    hub: FakeHub, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.weights.hub.WORTH_RESUMING_BYTES", 10_000)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)

    def end(_: float) -> None:
        raise KeyboardInterrupt

    hub.cut_after = 3000
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("time.sleep", end)  # as if in the library's wait for the next try
        load(Preset("mini", MODEL))
    assert hub.ranges == []
    hub.cut_after = None
    told: list[tuple[str, int, int]] = []
    hub_here = Hub(on_download=lambda *words: told.append(words))
    Loader(Preset("mini", MODEL), torch.device("cpu"), FLOAT, hub_here).engine()
    assert hub.ranges == ["bytes=3000-"]
    assert told[0][1] >= 3000 and told[-1][1] == told[-1][2]  # what was here counts


@pytest.mark.parametrize("left", ["too much", "other bytes"])
def test_a_damaged_part_of_a_download_is_not_kept(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.setattr("models.weights.hub.WORTH_RESUMING_BYTES", 10_000)
    load(Preset("mini", MODEL))
    link = next((tmp_path / "cache").rglob("unet/*.safetensors"))
    blob = link.resolve()
    partial = blob.rename(f"{blob}.partial")
    link.unlink()
    if left == "too much":
        partial.write_bytes(partial.read_bytes() + b"more")
    else:
        partial.write_bytes(bytes(3000))
        with pytest.raises(ModelError, match=r"unet/.* of painter/lcm came damaged.*ask for it"):
            load(Preset("mini", MODEL))
    load(Preset("mini", MODEL))
    assert blob.exists() and not partial.exists()


def test_the_cache_is_enough_without_a_network(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    preset = Preset("mini", MODEL)
    load(preset)
    hub.asked.clear()
    load(preset, offline=True)
    assert hub.asked == []
    point_at(monkeypatch, f"http://127.0.0.1:{free_port()}", tmp_path / "cache")
    loader = load(preset)
    assert loader.hub.notes == ["the hub cannot be reached; what the local cache has is used"]


def test_a_vae_a_lora_and_a_unet_may_come_from_elsewhere(hub: FakeHub, tmp_path: Path) -> None:
    make_vae("tiny").save_pretrained(tmp_path / "tiny")
    unet = make_unet(5, time_cond_proj_dim=8)
    (tmp_path / "distilled").mkdir()
    save_file(unet.state_dict(), tmp_path / "distilled" / "two_step_unet.safetensors")
    down, up = torch.randn(2, 16) * 0.3, torch.randn(16, 2) * 0.3
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    (tmp_path / "loras").mkdir()
    for file in ("a", "b"):
        tensors = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
        save_file(tensors, tmp_path / "loras" / f"{file}.safetensors")
    for folder in ("tiny", "distilled", "loras"):
        hub.repositories[f"other/{folder}"] = tmp_path / folder
    preset = Preset(
        "mini",
        MODEL,
        vae="other/tiny",
        unet="other/distilled/two_step_unet.safetensors",
        loras=("other/loras/b.safetensors:0.5",),
    )
    engine = Loader(preset, torch.device("cpu"), FLOAT, Hub()).engine()
    fetched = downloads(hub)
    assert "unet/config.json" in fetched and "two_step_unet.safetensors" in fetched
    assert "unet/diffusion_pytorch_model.safetensors" not in fetched
    assert "vae/diffusion_pytorch_model.safetensors" not in fetched
    assert "b.safetensors" in fetched and "a.safetensors" not in fetched
    assert is_present(preset)
    layer = engine.networks.predict.unet.get_submodule(name.removeprefix("unet."))  # type: ignore[attr-defined]
    expected = unet.get_submodule(name.removeprefix("unet.")).weight + 0.5 * up @ down
    torch.testing.assert_close(layer.weight, expected)


def test_half_precision_files_are_taken_where_there_are_no_others(
    hub: FakeHub, tmp_path: Path
) -> None:
    make_lcm().to(dtype=torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    hub.repositories["painter/half"] = tmp_path / "half"
    load(Preset("mini", "painter/half"))
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in downloads(hub)


def test_half_precision_files_are_preferred_if_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    folder = Path(save(make_sdxl(), tmp_path / "both"))
    make_sdxl().to(dtype=torch.float16).save_pretrained(folder, variant="fp16")
    hub.repositories["painter/both"] = folder
    load(Preset("mini", "painter/both", variant="fp16"))
    weights = [name for name in downloads(hub) if name.endswith(".safetensors")]
    assert len(weights) == 4 and all(".fp16." in name for name in weights)


# what goes wrong


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((403, "GatedRepo"), "is gated: accept its licence at .*/painter/lcm, then log in"),
        ((401, "GatedRepo"), "is gated"),
        ((404, "RepoNotFound"), "has no model painter/lcm .*models` lists"),
        ((401, "RepoNotFound"), "has no model painter/lcm"),
        ((404, "RevisionNotFound"), "has no revision v2 on the hub"),
        ((503, ""), r"out of order \(it answers 503\) and painter/lcm is not whole"),
        ((429, ""), "answers no more questions for now; wait"),
        ((418, ""), "does not give painter/lcm: it answers 418"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    hub: FakeHub, refusal: tuple[int, str], words: str
) -> None:
    hub.refusals[MODEL] = refusal
    with pytest.raises(ModelNotFoundError, match=words) as info:
        load(Preset("mini", f"{MODEL}@v2"))
    assert "\n" not in str(info.value)
    assert len(hub.asked) == 1  # no retries


def test_a_part_of_a_preset_is_not_said_to_be_none(hub: FakeHub) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model stabilityai/sd-turbo .*login`\)\.$"):
        load(PRESETS["sd-turbo"])


def test_a_revision_that_is_not_there_is_said(hub: FakeHub) -> None:
    with pytest.raises(ModelNotFoundError, match="has no revision v9"):
        load(Preset("mini", f"{MODEL}@v9"))


def test_a_hub_out_of_reach_is_asked_once(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: float) -> None:
        raise AssertionError("it waits to try again")

    monkeypatch.setattr("time.sleep", fail)
    with pytest.raises(ModelNotFoundError, match="not whole in the local cache and the hub cannot"):
        load(Preset("mini", MODEL))


@pytest.mark.parametrize("told_by", ["option", "environment"])
def test_offline_mode_asks_nothing(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    if told_by == "environment":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="offline mode is on"):
        load(Preset("mini", MODEL), offline=told_by == "option")
    assert hub.asked == []


@pytest.mark.parametrize("part", ["model_index.json", "unet", "tokenizer"])
def test_half_a_model_in_the_cache_does_not_count(hub: FakeHub, tmp_path: Path, part: str) -> None:
    preset = Preset("mini", f"{MODEL}@{COMMIT}")
    load(preset)
    lost = next((tmp_path / "cache").rglob(part))
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert not is_present(preset)
    with pytest.raises(ModelNotFoundError, match="offline mode is on"):
        load(preset, offline=True)
    load(preset)  # fetches what is missing
    assert is_present(preset)


def test_too_small_a_disk_is_said_before_the_first_byte(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"needs \d+ MB on the disk .*and 0 MB are free"):
        load(Preset("mini", MODEL))
    assert downloads(hub) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "no space"), "disk is full; make room"),
        (OSError(errno.EDQUOT, "no more for you"), "disk is full; make room"),
        (PermissionError(errno.EACCES, "no"), "cannot be written; set HF_HOME"),
        (OSError(errno.EROFS, "read-only"), "cannot be written; set HF_HOME"),
        (NotADirectoryError(errno.ENOTDIR, "a file"), "cannot be written; set HF_HOME"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "hub cannot be reached"),
    ],
)
def test_what_the_disk_can_do_wrong_is_one_sentence(error: OSError, words: str) -> None:
    assert words in str(explain(error, MODEL))
    wrapped = OSError("as the library says it")
    wrapped.__cause__ = error
    assert words in str(explain(wrapped, MODEL))


def test_a_repository_that_is_no_pipeline_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    make_vae("tiny").save_pretrained(tmp_path / "tiny")
    hub.repositories["other/tiny"] = tmp_path / "tiny"
    with pytest.raises(ModelFormatError, match=r"has no model_index\.json.*vae="):
        load(Preset("mini", "other/tiny"))
    assert downloads(hub) == []


def test_pickled_weights_are_not_even_fetched(hub: FakeHub, tmp_path: Path, pipeline: Path) -> None:
    folder = Path(shutil.copytree(pipeline, tmp_path / "pickled"))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    hub.repositories["other/pickled"] = folder
    with pytest.raises(ModelFormatError, match=r"pickled \(unet\) has only pickled weights"):
        load(Preset("mini", "other/pickled"))
    assert downloads(hub) == []


@pytest.mark.parametrize("file", ["", "/adapter_model.safetensors", "/b/adapter_model.safetensors"])
def test_an_adapter_comes_with_its_settings(hub: FakeHub, tmp_path: Path, file: str) -> None:
    inner = file.removesuffix("adapter_model.safetensors").removeprefix("/")
    folder = tmp_path / "adapter" / inner
    folder.mkdir(parents=True)
    save_file({"x": torch.ones(1)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 3}')
    (folder / "README.md").write_text("not wanted")
    hub.repositories["other/adapter"] = tmp_path / "adapter"
    assert read_lora(f"other/adapter{file}").alphas == {"unet": 3.0}
    wanted = ["adapter_config.json", "adapter_model.safetensors"]
    assert downloads(hub) == [f"{inner}{name}" for name in wanted]


def test_a_file_that_is_not_there_names_the_nearest(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    for steps in (1, 2):
        path = tmp_path / "loras" / f"style-{steps}step.safetensors"
        save_file({"x": torch.ones(1)}, path)
    hub.repositories["other/loras"] = tmp_path / "loras"
    preset = Preset("mini", MODEL)
    with pytest.raises(ModelFormatError, match=r"has no file style-3step.*nearest: style-"):
        load(replace(preset, loras=("other/loras/style-3step.safetensors",)))
    with pytest.raises(ModelFormatError, match=r"other/loras has no file adapter_model"):
        read_lora("other/loras/adapter_model.safetensors")
    with pytest.raises(ModelFormatError, match=r"has 2 \.safetensors files, expected one: style-1"):
        load(replace(preset, loras=("other/loras:0.3",)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("owner/name", HubName("owner/name")),
        ("owner/name@v1.0", HubName("owner/name", "v1.0")),
        ("owner/name/a.safetensors", HubName("owner/name", None, "a.safetensors")),
        ("owner/name@1f/x/a.safetensors", HubName("owner/name", "1f", "x/a.safetensors")),
        ("name", None),
        ("../name", None),
        ("/owner/name", None),
        ("owner/name/", None),
        ("owner/name/folder", None),
        ("owner/name@", None),
    ],
)
def test_places_on_the_hub_are_told_from_paths(text: str, name: HubName | None) -> None:
    assert HubName.parse(text) == name
