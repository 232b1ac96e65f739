"""Tables on the terminal, a picture strip per sequence, and plots from the result."""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from stability_sequences import Clip, Picture

STRIP_FRAMES = 5
LABEL_PX = 130
MOST_SHOWN = 1.5
"""Of F in the plots; what is above stands at this height."""

COLUMNS = (
    ("F", "flicker", ".2f"),
    ("E x1e3", "warp_error", ".3f"),
    ("lag", "lag", ".2f"),
    ("T90", "t90", ".0f"),
    ("gain", "gain", ".2f"),
    ("sharp", "sharpness", ".2f"),
    ("struct", "structure", ".3f"),
    ("style", "style", ".3f"),
    ("ghost", "ghost", ".1f"),
    ("equal", "bit_equal", ".3f"),
    ("back", "returned", ".3f"),
    ("painted", "painted", ".0f"),
)


def show(result: dict) -> None:
    """Everything as tables."""
    console = Console(width=170)
    for clip in dict.fromkeys(row["clip"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["clip"] == clip]
        table = Table(
            f"{clip}, floor {1e3 * rows[0]['floor']:.3f}", *(c[0] for c in COLUMNS), "fails"
        )
        for row in rows:
            table.add_row(row["method"], *cells(row), " ".join(row["fails"]))
        console.print(table)
    table = Table("moving sequences, mean", "F", "worst F", "sharp", "lag", "admitted", "fails in")
    for name, way in result["ways"].items():
        table.add_row(
            name,
            *(f"{way[key]:.2f}" for key in ("flicker", "worst", "sharpness", "lag")),
            "yes" if way["admitted"] else "NO",
            ", ".join(f"{clip} ({' '.join(gates)})" for clip, gates in way["fails"].items()),
        )
    console.print(table)
    console.print(result["machine"], result["versions"], "commit", result["commit"])


def without_nan(value: Any) -> Any:
    """The same with ``None`` for what could not be measured: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cells(row: dict) -> list[str]:
    shown = []
    for _, key, how in COLUMNS:
        value = row.get(key)
        if value is None or np.isnan(value):
            shown.append("")
        else:
            shown.append(format(1e3 * value if key == "warp_error" else value, how))
    return shown


def draw_strip(folder: Path, clip: Clip, outputs: dict[str, list[Picture]]) -> None:
    """Input and every way side by side, some frames apart; below, one row of pixels over time."""
    count = len(clip.pictures)
    picks = np.linspace(count // 3, count - 1, STRIP_FRAMES).astype(int)
    rows = []
    for name, pictures in {"input": clip.pictures, **outputs}.items():
        over_time = np.stack([picture[picture.shape[0] // 2] for picture in pictures])
        side = pictures[0].shape[1]
        over_time = cv2.resize(over_time, (side, side), interpolation=cv2.INTER_NEAREST)
        label = np.full((side, LABEL_PX, 3), 255, np.uint8)
        cv2.putText(label, name, (4, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
        rows.append(np.hstack([label, *(pictures[pick] for pick in picks), over_time]))
    path = folder / f"{file_name(clip.name)}.png"
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def draw_plots(folder: Path, result: dict) -> None:
    """F against sharpness for every way, and F of each sequence."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("no plots: matplotlib is not installed (pip install '.[benchmarks]')")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 5))
    for name, way in result["ways"].items():
        mark = "o" if way["admitted"] else "x"
        at = way["sharpness"], min(way["flicker"], MOST_SHOWN)
        left.plot(*at, mark)
        left.annotate(f"{name} {way['flicker']:.2f}", at, fontsize=8, rotation=20)
    left.axvspan(0.9, 1.15, alpha=0.1)
    left.set(xlabel="sharpness against per frame", ylabel="relative flicker F", title="o admitted")
    for axes in (left, right):
        axes.set_ylim(0, 1.15 * MOST_SHOWN)
    clips = list(dict.fromkeys(row["clip"] for row in result["rows"] if row["moving"]))
    ways = [name for name in result["ways"] if "cheat" not in name]
    for offset, name in enumerate(ways):
        values = [
            min(row["flicker"], MOST_SHOWN)
            for row in result["rows"]
            if row["moving"] and row["method"] == name
        ]
        right.bar(
            np.arange(len(clips)) + 0.8 * offset / len(ways), values, 0.8 / len(ways), label=name
        )
    right.set_xticks(np.arange(len(clips)) + 0.3, clips, rotation=45, ha="right")
    right.legend(fontsize=7)
    right.set_title("relative flicker of the moving sequences")
    figure.tight_layout()
    figure.savefig(folder / "stability.png", dpi=90)
    pyplot.close(figure)
