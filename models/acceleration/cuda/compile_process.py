"""Compiles the networks of `FOLDER/blueprint.json`.

    python -m models.acceleration.cuda.compile_process FOLDER

A process of its own: tracing holds Python's lock for seconds, which would be seen in a live
picture. It needs no weights and hardly any memory of the GPU: tensors without memory are traced,
and Inductor tries its kernels on inputs that it makes up. Writes one file a network.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from models.acceleration.cuda.compile_spec import (
    PART_NAMES,
    CompileSpec,
    inputs_of,
    make_hollow_parts,
    weights_of,
)

BLUEPRINT_NAME = "blueprint.json"

PATCHES = {"cuda": {"max_autotune": True}}
"""Changes of Inductor's config, by type of device. CUDA's is torch.compile's mode
"max-autotune-no-cudagraphs", the graph being captured by us, but for its coordinate descent: what
that finds is not kept in the artifact, so each start would search anew, beside the painting."""


def build(folder: Path) -> None:
    """Compile every part of a blueprint into `folder`."""
    blueprint = CompileSpec.from_json((folder / BLUEPRINT_NAME).read_text(encoding="utf-8"))
    if torch.device(blueprint.device).type == "cuda":
        torch.cuda.set_device(blueprint.device)  # where Inductor times its kernels
    parts = make_hollow_parts(blueprint)
    for name in PART_NAMES:
        compile_part(getattr(parts, name), inputs_of(name, blueprint), blueprint.device).save(
            path=str(folder / f"{name}.bin"), format="binary"
        )


@torch.no_grad()
def compile_part(
    part: nn.Module, inputs: list[tuple[tuple[int, ...], torch.dtype]], device: str
) -> Any:
    """Compile a module on the "meta" device into an artifact called with inputs, then weights.

    Args:
        part: Its weights become inputs, in the order of `weights_of`.
        inputs: Shape and dtype of each input, contiguous.
        device: What to compile for.
    """
    import torch._inductor as inductor

    weights = weights_of(part)
    with FakeTensorMode():
        given = [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in inputs]
        held = [
            torch.empty_strided(w.shape, w.stride(), dtype=w.dtype, device=device)
            for w in weights.values()
        ]
        program = torch.export.export(
            _Weightless(part, tuple(weights)), (tuple(given), tuple(held)), strict=False
        )
    compile: Any = inductor.standalone_compile
    return compile(
        program.graph_module,
        [*given, *held],
        dynamic_shapes="from_example_inputs",
        options={"config_patches": PATCHES.get(torch.device(device).type, {})},
        aot=True,
    )


class _Weightless(nn.Module):
    """A module as a function of its inputs and its weights."""

    def __init__(self, part: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self._part = [part]  # in a list: its own weights are not this module's
        self._names = names

    def forward(self, inputs: tuple[Tensor, ...], weights: tuple[Tensor, ...]) -> Tensor:
        named = dict(zip(self._names, weights, strict=True))
        output: Tensor = functional_call(self._part[0], named, inputs)
        return output


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, or closes the pipe to it."""
    while os.read(0, 64):  # not `sys.stdin`, whose lock would be missed at the end
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    build(Path(sys.argv[1]))
