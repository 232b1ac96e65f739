"""Rows of a contest as text, and as a chart of bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    ("device_ms", "GPU ms"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95 ms"),
    ("p99_ms", "p99 ms"),
    ("fps", "fps"),
    ("ratio", "times"),
    ("setup_s", "set-up s"),
    ("peak_mb", "GPU MB"),
    ("psnr_db", "PSNR dB"),
    ("share_of_roofline", "roofline"),
    ("threads_of_torch", "threads"),
)
NAME_WIDTH = 38
BAR_HEIGHT_INCHES = 0.35
NO_MATPLOTLIB = "No chart was drawn: matplotlib is not installed (pip install '.[benchmarks]')."


def show(table: dict[str, Any]) -> None:
    """Print one table; "times" is how many times the first row's frames a second."""
    rows = [_with_text(row, table["rows"][0]) for row in table["rows"]]
    used = [(key, title) for key, title in COLUMNS if any(row.get(key) is not None for row in rows)]
    print(f"\n{table['title']}")
    print(" " * NAME_WIDTH + "".join(f"{title:>10}" for _, title in used))
    for row in rows:
        cells = "".join(f"{_cell(key, row.get(key)):>10}" for key, _ in used)
        text = row["failure"] if "failure" in row else f"{cells}  {row['note']}"
        print(f"{row['name']:<{NAME_WIDTH}}{text}".rstrip())


def _with_text(row: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """The row with what is worked out for the reader alone."""
    if "failure" in row:
        return row
    likeness = "equal" if row["is_equal"] else row["psnr_db"]
    ratio = row["fps"] / first["fps"] if "fps" in first else None
    return {**row, "ratio": ratio, "psnr_db": None if row is first else likeness}


def _cell(key: str, value: float | int | str | None) -> str:
    if value is None:
        return "-"
    if key == "share_of_roofline" and isinstance(value, float):
        return f"{value:.0%}"
    if key == "ratio" and isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def draw(tables: Sequence[dict[str, Any]], path: Path, told: str = "") -> None:
    """Frames a second as bars, a panel each table in which a row stands.

    Args:
        tables: As `show` takes them.
        path: A PNG.
        told: What they were measured on; above the panels.

    Raises:
        ImportError: matplotlib is not installed; the message says how to mend that.
        ValueError: No row stands.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as err:
        raise ImportError(NO_MATPLOTLIB) from err
    found = [(t["title"], [row for row in t["rows"] if "fps" in row]) for t in tables]
    standing = [(title, rows) for title, rows in found if rows]
    if not standing:
        raise ValueError("No chart was drawn: nothing could be measured.")
    heights = [1 + len(rows) for _, rows in standing]
    figure = Figure((9, BAR_HEIGHT_INCHES * sum(heights) + 0.9), layout="constrained")
    figure.suptitle(told, fontsize="medium")
    panels = figure.subplots(len(standing), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, rows) in zip(panels, standing, strict=True):
        names, fps = [row["name"] for row in rows], [row["fps"] for row in rows]
        colours = ["tab:orange" if name.startswith("ours") else "tab:blue" for name in names]
        panel.bar_label(panel.barh(names, fps, color=colours), fmt="%.1f", padding=3)
        panel.invert_yaxis()
        panel.margins(x=0.1)
        panel.set_title(title, fontsize="medium", loc="left")
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("frames a second, bytes to bytes")
    figure.savefig(path, dpi=120)
