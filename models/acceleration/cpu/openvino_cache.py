"""OpenVINO cache: compiled models on disk, so that later starts skip diffusers and transformers.

    first start    model folder ──loaders, traces──► engine ──keep──► cache folder ──► engine
    later starts                                                      cache folder ──► engine

The first start also ends in the engine read from disk, so that every start paints the same bytes.
What is kept is named by a digest of the model's files, of this package's code and of the libraries'
versions; another model, code or library makes a new one, and the oldest are removed. It is sealed
(digests.py), and what is damaged is made again. For a model with one text encoder and no added
conditions; the others load as ever.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.acceleration.cache.digests import drop_without_digests, is_whole, write_digests
from models.acceleration.cache.folder import FOLDER_VARIABLE, begin, cache_folder, prune, put
from models.acceleration.cpu.kept_text import (
    CachedTextEncoder,
    CachedTokenizer,
    write_tokenizer,
)
from models.acceleration.cpu.openvino import (
    OpenVinoCall,
    Precision,
    best_precision,
    converted,
    device_facts,
    openvino_note,
    openvino_path,
    read_compiled,
)
from models.acceleration.cpu.openvino_exit import exit_of
from models.acceleration.cpu.openvino_planes import OpenVinoPlanes
from models.acceleration.cpu.side_by_side import MOST_LANES, SideBySide
from models.acceleration.cpu.threads import physical_cores
from models.acceleration.split_predictor import SplitPredictor
from models.carried_noise import StemNetworks
from models.conditioning import PromptEncoder, TextStage
from models.engine import Engine
from models.errors import in_short
from models.networks import Networks
from models.notes import FIRST_USE
from models.presets import Preset
from models.recipe import Recipe
from models.schedule import ScheduleConfig

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "openvino", "diffusers", "transformers", "tokenizers")
MOST_KEPT = 3

FACTS = "facts.json"
TOKENIZER = "tokenizer.json"


def load_cached(
    preset: Preset, load_plain: Callable[[], Engine], recipe: Recipe | None = None
) -> Engine | None:
    """The preset's engine on OpenVINO from the cache folder, which is filled first if need be.

    Args:
        preset: Its source is a local folder; no LoRAs.
        load_plain: Loads the engine plain, in float32; called where nothing is kept yet, or for
            what OpenVINO refuses.
        recipe: By which it is to compute, as far as this machine can; ``None`` takes what is best.

    Returns:
        ``None`` where nothing can be kept: no OpenVINO, no folder, a model that is not served.

    Raises:
        ModelError: Of `load_plain`.
    """
    try:
        precision = best_precision()
    except ImportError:
        return None
    plain = cache(load_plain)
    try:
        root = cache_folder()
    except OSError as err:
        plain().note(_not_kept("anywhere", err))
        return None
    if root is None:
        return None
    failure: Exception | None = None
    quantize = None if recipe is None else recipe.is_quantized
    threads = (recipe.threads if recipe is not None else 0) or physical_cores()
    place = _place(root, preset, precision, quantize)
    for _ in range(2):
        try:
            if not is_whole(place):
                shutil.rmtree(place, ignore_errors=True)
                _keep_at_first_use(plain, preset.name, place, quantize)
            return _Kept(place, preset, precision, plain, threads).engine()
        except (OSError, RuntimeError, ValueError, KeyError) as err:
            logger.info("%s is not kept in %s: %s", preset.name, place, err)
            shutil.rmtree(place, ignore_errors=True)
            failure = err
    if isinstance(failure, OSError | RuntimeError):  # of OpenVINO, where a disk is full
        plain().note(_not_kept(f"in {root}", failure))
    return None


def _keep_at_first_use(
    plain: Callable[[], Engine], name: str, place: Path, quantize: bool | None
) -> None:
    told, start_s = logging.getLogger(FIRST_USE), time.perf_counter()
    told.info("First use of %s: preparing it for this processor, which happens once ...", name)
    _keep(plain(), place, quantize)
    told.info("Prepared in %.0f s and kept in %s.", time.perf_counter() - start_s, place.parent)


def _not_kept(where: str, err: Exception) -> str:
    why = getattr(err, "strerror", None) or in_short(err)
    return (
        f"what is compiled cannot be kept {where}, so every start compiles; "
        f"{FOLDER_VARIABLE} names another folder ({why})"
    )


def _place(root: Path, preset: Preset, precision: Precision, quantize: bool | None) -> Path:
    """Where the model is kept; what was found best here also serves a recipe that asks for it."""
    found = root / f"{preset.name}-{_digest(preset, precision)}"
    if quantize is None:
        return found
    with suppress(OSError, ValueError, KeyError):
        if json.loads((found / FACTS).read_text(encoding="utf-8"))["is_quantized"] == quantize:
            return found
    return found.with_name(f"{found.name}-{'int8' if quantize else 'float'}")


def _digest(preset: Preset, precision: Precision) -> str:
    told = [*device_facts(), precision, repr(preset)]
    told += [f"{name} {_version(name)}" for name in LIBRARIES]
    code = Path(__file__).parents[2]
    sources = [
        path for part in ("*", "fields/*", "acceleration/**/*") for path in code.glob(f"{part}.py")
    ]
    for path in sorted([*sources, *_files(Path(preset.source))]):
        facts = path.stat()
        told.append(f"{path} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


# To disk


def _keep(engine: Engine, place: Path, quantize: bool | None = None) -> None:
    """Convert a plain engine and write it to `place`, whole or not at all.

    Raises:
        OSError, RuntimeError, ValueError: It cannot be written, converted, or is not served.
    """
    folder = begin(place.parent)
    networks, notes = engine.networks, list(engine.notes)
    try:
        _write(engine, folder, quantize)
        put(folder, place, FACTS)
    finally:
        engine.networks, engine.notes = networks, notes
        shutil.rmtree(folder, ignore_errors=True)
    prune(place.parent, FACTS, MOST_KEPT)


def _write(engine: Engine, folder: Path, quantize: bool | None) -> None:
    from models.acceleration.cpu.accelerate import example_conditions, use_openvino

    stages = engine.prompt_encoder.stages
    if len(stages) != 1 or engine.prompt_encoder.pooled:
        raise ValueError("only models with one plain text encoder are kept")
    tokenizer, text_encoder = stages[0]
    limit = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
    facts = {
        "networks": _plain_fields(engine.networks),
        "schedule": asdict(engine.schedule_config),
        "native_size": engine.native_size,
        "frame_is_scaled": engine.frame_is_scaled,
        "is_quantized": use_openvino(engine, quantize=quantize),
        "notes": engine.notes[:-1],  # the last says what it runs on, as each start does for itself
    }
    predict: Any = engine.networks.predict
    asked = example_conditions(predict.conditions.unet, tokens=limit)
    calls: dict[str, Any] = {
        "encode": engine.networks.encode,
        "body": predict.body,
        "decode": engine.networks.decode,
    }
    stem = engine.networks.stem
    if stem is not None:
        calls["features"] = stem.features
        facts["stem"] = _plain_fields(stem)
        _save(stem.conditions, (asked["prompt_embeds"],), folder, "stem_conditions")
    for name, call in calls.items():
        call.save(folder / f"{name}.xml")
    inputs = [asked[name] for name in ("timestep", "prompt_embeds", "timestep_cond")]
    _save(predict.conditions, tuple(t for t in inputs if t is not None), folder, "conditions")
    _save(_LastState(text_encoder), (torch.zeros(1, limit, dtype=torch.int64),), folder, "text")
    write_tokenizer(tokenizer, limit, folder / TOKENIZER)
    (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    write_digests(folder, [path.name for path in folder.iterdir()])


def _save(module: Any, inputs: tuple[Tensor, ...], folder: Path, name: str) -> None:
    import openvino

    model, _decoder = converted(module, inputs)
    openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


def _plain_fields(networks: Networks | StemNetworks) -> dict[str, Any]:
    values = {field.name: getattr(networks, field.name) for field in fields(networks)}
    plain = {name: value for name, value in values.items() if not callable(value)}
    for name in ("stem", "exit"):  # have calls of their own
        plain.pop(name, None)
    return plain


class _LastState(nn.Module):
    """A text encoder that gives its last hidden state alone."""

    def __init__(self, text_encoder: Any) -> None:
        super().__init__()
        self.text_encoder = text_encoder

    def forward(self, ids: Tensor) -> Tensor:
        state: Tensor = self.text_encoder(ids)[0]
        return state


# From disk


class _Kept:
    """One kept model, while its engine is made."""

    def __init__(
        self,
        place: Path,
        preset: Preset,
        precision: Precision,
        plain: Callable[[], Engine],
        threads: int,
    ) -> None:
        self._place = place
        self._preset = preset
        self._precision = precision
        self._plain = plain
        self._facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
        self._threads = threads
        self._plans = _plans(place)
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        facts, preset = self._facts, self._preset
        engine = Engine(
            self._networks(),
            PromptEncoder((self._text_stage(),), pooled=False),
            ScheduleConfig.from_config(facts["schedule"]),
            name=preset.name,
            device=torch.device("cpu"),
            dtype=torch.float32,
            default_style=preset.style,
            native_size=facts["native_size"],
            frame_is_scaled=facts["frame_is_scaled"],
            notes=tuple(facts["notes"]),
        )
        told = openvino_note(self._precision, self._threads, is_quantized=facts["is_quantized"])
        engine.note(told, logging.INFO)
        is_quantized = facts["is_quantized"]
        engine.computation.path = openvino_path(self._precision, is_quantized=is_quantized)
        engine.computation.threads = self._threads
        engine.side_by_side = (
            SideBySide(engine, min(self._threads, MOST_LANES)) if self._threads > 1 else None
        )
        torch.set_num_threads(1)
        self._engine = engine
        return engine

    def _networks(self) -> Networks:
        plain = self._plain
        plain_body = cache(lambda: _body(plain()))
        body = self._call("body", lambda *inputs: plain_body()(*inputs))
        decode = self._call("decode", lambda latents: plain().networks.decode(latents))
        return Networks(
            encode=self._call("encode", lambda image: plain().networks.encode(image)),
            predict=SplitPredictor(self._conditions(), body),
            decode=decode,
            exit=exit_of(decode),
            unscale=lambda latents: plain().networks.unscale(latents),
            stem=self._stem(),
            **self._facts["networks"],
        )

    def _stem(self) -> StemNetworks | None:
        told = self._facts.get("stem")
        if told is None:
            return None
        run = read_compiled(self._place / "stem_conditions.xml", self._threads, self._plans)
        plain = self._plain

        def conditions(states: Tensor) -> tuple[Tensor, Tensor]:
            style, marks = run(states)
            return style, marks

        def features(image: Tensor, planes: Tensor, style: Tensor) -> Tensor:
            stem = plain().networks.stem
            assert stem is not None
            return stem.features(image, planes, style)

        return StemNetworks(
            conditions=conditions,
            features=self._call("features", features),
            planes_of=OpenVinoPlanes(self._threads, self._note, self._plans),
            **{**told, "kinds": tuple(told["kinds"])},
        )

    def _call(self, name: str, fallback: Callable[..., Tensor]) -> OpenVinoCall:
        return OpenVinoCall(
            fallback,
            self._place / f"{name}.xml",
            precision=self._precision,
            threads=self._threads,
            on_failure=self._note,
            plans=self._plans,
        )

    def _note(self, sentence: str) -> None:
        if self._engine is not None:
            self._engine.note(sentence)

    def _conditions(self) -> Callable[..., tuple[Tensor, ...]]:
        run = read_compiled(self._place / "conditions.xml", self._threads, self._plans)

        def conditions(*inputs: Tensor | None) -> tuple[Tensor, ...]:
            return run(*(tensor for tensor in inputs if tensor is not None))

        return conditions

    def _text_stage(self) -> TextStage:
        kept = CachedTokenizer(self._place / TOKENIZER)
        run = read_compiled(self._place / "text.xml", self._threads, self._plans)
        return TextStage(kept, CachedTextEncoder(run, kept.model_max_length))


def _plans(place: Path) -> Path | None:
    """Where OpenVINO may keep what it compiles, rid of what is damaged; ``None`` = nowhere."""
    plans = place / "plans"
    try:
        plans.mkdir(exist_ok=True)
        drop_without_digests(plans)
    except OSError:
        return None
    return plans


def _body(engine: Engine) -> Callable[..., Tensor]:
    from models.acceleration.rewrites import UNetBody

    predict: Any = engine.networks.predict
    return UNetBody(predict.unet)
