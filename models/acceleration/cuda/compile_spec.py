"""CompileSpec: all that compiling an engine's networks for one shape depends on, and its cache key.

    engine, shape ──CompileSpec──► JSON ──► the same networks on the "meta" device, without weights

A compiled network takes its weights as inputs. So what is compiled depends on the architecture, the
shape, the machine and the libraries, and not on what was learned: every SD 1.5 checkpoint shares
one, and a LoRA written into the weights is seen.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from models.acceleration.cuda.whole_frame import Closing, FrameFunction, Opening, Parts
from models.acceleration.rewrites import UNetBody
from models.engine import Engine
from models.networks import LatentDecoder, LatentEncoder, LatentScale

PART_NAMES = ("opening", "body", "closing")

CODE = (
    "acceleration/cuda/compile_process.py",
    "acceleration/cuda/compile_spec.py",
    "acceleration/cuda/whole_frame.py",
    "acceleration/rewrites.py",
    "autoencoder.py",
    "image_prompt.py",
    "networks.py",
)
"""Files of this package that decide what is compiled."""


class UncompilableError(ValueError):
    """The networks cannot be described to a compiler in another process."""


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """Networks and shapes, in plain values.

    Attributes:
        unet, vae: Their configs as diffusers writes them.
        unet_dtype, vae_dtype: e.g. "float16".
        shape: (batch, height, width) of the frames.
        held: Shapes of what the body is given beside latents.
        latents: (C, h, w) of the latents; `seen` channels of the body's input.
        images: Whether the UNet is given keys and values of style pictures.
        device: "cuda:0", "cpu"; kernels name the GPU that they are launched on.
        machine: What the kernels are for.
        libraries: Versions of what makes them.
        code: Digest of this package's own part in it.
    """

    unet: dict[str, Any]
    vae: dict[str, Any]
    unet_dtype: str
    vae_dtype: str
    shape: tuple[int, int, int]
    held: tuple[tuple[int, ...], ...]
    latents: tuple[int, int, int]
    seen: int
    images: bool
    device: str
    machine: str
    libraries: str
    code: str

    @property
    def key(self) -> str:
        """The name in a cache: another for everything that makes other kernels."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "CompileSpec":
        values = json.loads(text)
        shapes = {name: tuple(values[name]) for name in ("shape", "latents")}
        return cls(**{**values, **shapes, "held": tuple(tuple(shape) for shape in values["held"])})


def make_compile_spec(engine: Engine, frame: FrameFunction) -> CompileSpec:
    """Describe the networks of an engine for the shape of a frame function.

    Raises:
        UncompilableError: They are more than their configs say.
    """
    if engine.structure is not None:
        raise UncompilableError("structure networks add to the UNet")
    parts = frame.parts
    assert isinstance(parts.opening, Opening) and isinstance(parts.body, UNetBody)
    assert isinstance(parts.opening.encode, LatentEncoder)
    unet, vae = parts.body.unet, parts.opening.encode.vae
    if vae.config.get("latents_mean") is not None:
        raise UncompilableError("latents are scaled channel by channel")
    _, height, width = frame.shape
    return CompileSpec(
        unet=_plain(unet),
        vae=_plain(vae),
        unet_dtype=_name(parts.body.dtype),
        vae_dtype=_name(parts.opening.encode.dtype),
        shape=frame.shape,
        held=tuple(frame.held_shapes),
        latents=engine.latent_shape((width, height)),
        seen=int(unet.config.in_channels),
        images=parts.body.has_images,
        device=str(frame.data.device),  # with its index
        machine=_machine(engine.device),
        libraries=f"torch {torch.__version__}, diffusers {diffusers.__version__}",
        code=_code(),
    )


def make_hollow_parts(blueprint: CompileSpec) -> Parts:
    """The networks of a blueprint on the "meta" device: shapes and operations, no weights."""
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(blueprint.unet)
        vae = _vae_class(blueprint.vae).from_config(blueprint.vae)
    for module, dtype in ((unet, blueprint.unet_dtype), (vae, blueprint.vae_dtype)):
        convert: Any = nn.Module.to
        convert(module, dtype=getattr(torch, dtype), memory_format=torch.channels_last)
        module.eval().requires_grad_(False)
    scale = LatentScale(vae)
    return Parts(
        Opening(LatentEncoder(vae, scale)),
        UNetBody(unet, has_images=blueprint.images),
        Closing(LatentDecoder(vae, scale)),
    )


def inputs_of(name: str, blueprint: CompileSpec) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype of each input of a part beside its weights; all contiguous."""
    batch = blueprint.shape[0]
    channels, height, width = blueprint.latents
    if name == "opening":
        return [((*blueprint.shape, 3), torch.uint8)]
    if name == "closing":
        return [((batch, channels, height, width), torch.float32)]
    dtype = getattr(torch, blueprint.unet_dtype)
    rows = blueprint.held[0][0]  # twice the batch with guidance
    seen = ((rows, blueprint.seen, height, width), torch.float32)
    return [seen, *((tuple(shape), dtype) for shape in blueprint.held)]


def weights_of(part: Any) -> dict[str, Tensor]:
    """Name -> parameter or buffer of a part, each once, in the order that both sides share."""
    return {**dict(part.named_parameters()), **dict(part.named_buffers())}


def _plain(module: Any) -> dict[str, Any]:
    """A config in JSON's own types, without what only says where a checkpoint came from."""
    config = {name: value for name, value in module.config.items() if not name.startswith("_")}
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return {**plain, "_class_name": type(module).__name__}


def _vae_class(config: dict[str, Any]) -> Any:
    from models.autoencoder import AutoencoderPatch

    kinds: Sequence[Any] = (diffusers.AutoencoderKL, diffusers.AutoencoderTiny, AutoencoderPatch)
    return next(kind for kind in kinds if kind.__name__ == config["_class_name"])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        properties: Any = torch.cuda.get_device_properties(device)
        return f"{properties.name} {properties.major}.{properties.minor} CUDA {torch.version.cuda}"
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"


def _code() -> str:
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for name in CODE:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()
