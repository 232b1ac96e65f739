"""What can paint a frame on a CPU: plain torch, bfloat16, Inductor, OpenVINO alone, ours."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from contest import Contestant, Data, Paint
from torch import Tensor, nn

from models import Engine, Style
from models.acceleration.choice import accelerate
from models.acceleration.openvino import OpenVinoCall, Precision
from models.acceleration.threads import physical_cores

MakeEngine = Callable[[], Engine]


def cpu_contestants(
    make_engine: MakeEngine, style: Style, size: tuple[int, int], *, inductor: bool
) -> list[Contestant]:
    """All of them, the plain path in float32 first; `make_engine` makes a plain engine."""

    def accelerated(kind: Any, dtype: torch.dtype | None) -> Callable[[], Paint]:
        def make() -> Paint:
            engine = make_engine()
            accelerate(engine, kind, dtype)
            return painter(engine, style, size)

        return make

    contestants = [
        Contestant("eager float32", lambda: painter(make_engine(), style, size)),
        Contestant("eager float32, channels_last, rewritten", accelerated("eager", torch.float32)),
        Contestant(
            "eager bfloat16, channels_last, rewritten", accelerated("eager", torch.bfloat16)
        ),
    ]
    if inductor:
        contestants.append(
            Contestant("inductor float32, frozen", lambda: _inductor(make_engine(), style, size))
        )
    for precision in ("f32", "bf16"):
        contestants.append(
            Contestant(
                f"OpenVINO {precision}, UNet as it is",
                lambda precision=precision: _openvino(make_engine(), style, size, precision),
            )
        )
    return [*contestants, Contestant("ours (auto)", accelerated("auto", None))]


def painter(engine: Engine, style: Style, size: tuple[int, int]) -> Paint:
    """Bytes to bytes through an engine; what the style decides is worked out before."""
    noise, conditioning = engine.noise(style, size), engine.encode_prompt(style)
    schedule = engine.schedule(style)

    def paint(data: Data) -> Data:
        latents = engine.encode(engine.to_image(data))
        return engine.to_data(engine.decode(engine.denoise(latents, noise, conditioning, schedule)))

    return paint


def _inductor(engine: Engine, style: Style, size: tuple[int, int]) -> Paint:
    torch._inductor.config.freezing = True
    networks = engine.networks
    engine.networks = replace(
        networks,
        encode=torch.compile(networks.encode),
        predict=torch.compile(networks.predict),
        decode=torch.compile(networks.decode),
    )
    return painter(engine, style, size)


class _TensorsOnly(nn.Module):
    """A predictor without guidance and pooled text."""

    def __init__(self, predictor: Any) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, latents: Tensor, timestep: Tensor, prompt_embeds: Tensor) -> Tensor:
        prediction: Tensor = self.predictor(latents, timestep, prompt_embeds)
        return prediction


def _openvino(engine: Engine, style: Style, size: tuple[int, int], precision: Precision) -> Paint:
    networks: Any = engine.networks
    side = engine.size_multiple
    latents = torch.zeros(1, *engine.latent_shape((side, side)))
    seen = torch.zeros(1, networks.predict.unet.config.in_channels, *latents.shape[2:])

    def call(module: nn.Module, *example_inputs: Tensor) -> OpenVinoCall:
        return OpenVinoCall(
            module, example_inputs, precision=precision, threads=physical_cores(), on_failure=_fail
        )

    text = engine.encode_prompt(style).prompt_embeds
    predict = call(_TensorsOnly(networks.predict), seen, torch.tensor([499]), text)
    engine.networks = replace(
        networks,
        encode=call(networks.encode, torch.zeros(1, 3, side, side)),
        predict=lambda latents, timestep, text, *_: predict(latents, timestep, text),
        decode=call(networks.decode, latents),
    )
    torch.set_num_threads(1)
    return painter(engine, style, size)


def _fail(reason: str) -> None:
    raise RuntimeError(reason)
