"""The lists of `allaprima models`, `styles`, `devices` and `doctor`, printed through rich."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import PRESETS, STYLES, is_present
from stream.media.other_programs import carrier_of

if TYPE_CHECKING:
    from stream.command.doctor import Finding
    from stream.devices import VideoDevice

MODEL_LINE = "{0:{width}}  {1:4}  {2:>7}  {3:>10}  {4}"
GPU_MEMORY = "GPU memory: the weights in float16 and 1 GB at 512 px, 2 GB at 1024 px; not measured."
OTHER_MODELS = (
    "--model also takes a folder of a diffusers pipeline, a .safetensors checkpoint, or a hub id "
    "(owner/name, owner/name@revision)."
)
MIXTURES = 'Two looks are mixed by weight: --prompt "oil painting:0.7 | neon:0.3".'
SYNONYMS = 4
"""Other names shown of each look; the model knows more."""


def print_models(console: Console) -> None:
    """The models known by name: whether they are on this machine, size, licence."""
    width = max(len(name) for name in PRESETS)
    head = ("name", "here", "size", "GPU memory", "for business")
    lines = [MODEL_LINE.format(*head, width=width)]
    for preset in PRESETS.values():
        facts = (
            preset.name,
            "yes" if is_present(preset) else "no",
            "-" if preset.native_size is None else f"{preset.native_size} px",
            "-" if preset.vram_gb is None else f"{preset.vram_gb:g} GB",
            {True: "free", False: "not free", None: "see its card"}[preset.commercial_use],
        )
        lines += [MODEL_LINE.format(*facts, width=width), f"    {preset.title}"]
        lines += [f"    Licence: {preset.licence}"]
    for line in (*lines, "", GPU_MEMORY, OTHER_MODELS):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def models_as_json() -> str:
    """The same for programs: a list of objects, with everything that the table has of each."""
    rows = [
        {**asdict(preset), "vram_gb": preset.vram_gb, "here": is_present(preset)}
        for preset in PRESETS.values()
    ]
    return json.dumps(rows, indent=2) + "\n"


def print_styles(console: Console) -> None:
    """The looks that the bundled model was taught."""
    table = _table("prompt", "what it looks like", "also known as")
    for style in STYLES:
        table.add_row(style.prompt, style.description, ", ".join(style.synonyms[:SYNONYMS]))
    console.print(table)
    console.print(MIXTURES, soft_wrap=True, markup=False, highlight=False)


def print_devices(console: Console, devices: "Sequence[VideoDevice]") -> None:
    """Cameras with their modes, and virtual cameras."""
    if not devices:
        console.print("There is no camera here; --from also takes a file, an address or testsrc.")
        return
    table = _table("--from", "name", "what it is", "modes")
    for device in devices:
        captures = device.driver if carrier_of(device.path) else "camera"
        kinds = [captures] * device.captures + ["virtual camera"] * device.takes
        what = device.problem or ", ".join(kinds) or "nothing that is used here"
        table.add_row(device.path, device.name, what, "\n".join(device.modes))
    console.print(table)


def print_findings(console: Console, findings: "Sequence[Finding]") -> None:
    """What the doctor found, and how to fix what is not well."""
    table = _table("", "what", "found")
    for finding in findings:
        told = finding.told + (f"\n-> {finding.mend}" if finding.mend else "")
        table.add_row(finding.state, finding.what, Text(told))
    console.print(table)


def as_json(rows: "Sequence[VideoDevice] | Sequence[Finding]") -> str:
    """The same for programs: a list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    return table
