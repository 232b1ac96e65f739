"""Adds, reweights and removes LoRAs of a loaded engine in place, while it paints.

    original weights, kept on the host ──copy──► the same memory ──add each LoRA──► ditto

Nothing that reads the weights need know: not a captured graph, not compiled kernels. Only what was
made from them before must be made again, which `Engine.revision` tells. LoRAs that the engine was
loaded with are part of what is kept.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.engine import Engine
from models.weights.lora import LoraFile, lora_changes

ROLES = ("text_encoder", "text_encoder_2")


class Loras:
    """The LoRAs on top of an engine's own weights; at first none. Belongs to the engine's thread.

    Args:
        engine: Its networks must read the weights that it was loaded with: torch's paths do.

    Raises:
        ValueError: The engine's networks have copies of their own (OpenVINO's have).
    """

    def __init__(self, engine: Engine) -> None:
        predict = engine.networks.predict
        # of a split UNet the conditions have it whole
        unet = getattr(getattr(predict, "conditions", predict), "unet", None)
        if not isinstance(unet, nn.Module):
            raise ValueError(f"{engine.name} runs on copies of its weights: LoRAs stay as loaded")
        encoders = [stage.text_encoder for stage in engine.prompt_encoder.stages]
        vae = getattr(engine.networks.encode, "vae", None)
        stem = getattr(getattr(engine.networks.stem, "features", None), "stem", None)
        others = {"vae": vae, "stem": stem}
        self._engine = engine
        self._modules: dict[str, nn.Module] = {
            "unet": unet,
            **{role: module for role, module in others.items() if isinstance(module, nn.Module)},
            **dict(zip(ROLES, encoders, strict=False)),
        }
        self._originals: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def set(self, loras: Sequence[tuple[LoraFile, float]]) -> None:
        """Have these and no others from the next frame on, each with its weight.

        Conditioning and graphs of before go on with the old text and timestep embeddings: encode
        the prompt again. Frames that a stream has taken and not begun yet (`every`, `batch`) are
        painted with the new ones: end it first.

        Raises:
            ModelFormatError: One does not fit this model; then nothing has changed.
            ValueError: A weight is not finite; nothing has changed either.
        """
        for lora, weight in loras:
            if not math.isfinite(weight):
                raise ValueError(f"got weight {weight} for {lora.name}, expected a finite number")
        changes = [
            (each, weight) for lora, weight in loras for each in lora_changes(lora, self._modules)
        ]
        if self._engine.device.type == "cuda":
            torch.cuda.synchronize(self._engine.device)  # frames on their way keep the old ones
        self._restore()
        self._engine.revision += 1
        for change, weight in changes:
            parameter = change.layer.weight
            if parameter not in self._originals:
                self._originals[parameter] = parameter.detach().to("cpu", copy=True)
            change.add(weight)

    def _restore(self) -> None:
        for parameter, original in self._originals.items():
            parameter.copy_(original)
