"""The report of `gpu_report.py` as one table in Markdown: what was asked, what came out."""

from typing import Any


def as_markdown(report: dict[str, Any]) -> str:
    """A line a step or row; of a report as `gpu_report.py` writes it, finished or not."""
    machine, versions = report.get("machine") or {}, report.get("versions") or {}
    place = machine.get("gpu") or machine.get("processor") or "unknown"
    lines = [
        f"{report['kind']}: {place}, PyTorch {versions.get('torch', '?')}, "
        f"commit {report.get('commit')}",
        "",
        "| step | what | figure |",
        "|---|---|---|",
    ]
    for step in report["steps"]:
        told = step["state"] + (f", {step['why']}" if step["why"] else "")
        lines.append(f"| {step['name']} | {step['asks']} | {told}, {step['wall_s']:.0f} s |")
        lines += [f"| | {what} | {figure} |" for what, figure in rows(step["result"])]
        if step["state"] in ("failed", "out of time"):
            last = next((line for line in reversed(step["last_words"]) if line.strip()), "")
            lines.append(f"| | last words | `{last.replace('|', '/').replace('`', '')[:160]}` |")
    return "\n".join(lines) + "\n"


def rows(result: Any) -> list[tuple[str, str]]:
    """What a step found, as pairs of words and figures."""
    if not isinstance(result, dict):
        return []
    if "tables" in result:
        return [pair for table in result["tables"] for pair in _speeds(table)]
    if "figures" in result:
        return [(name, _figure(value)) for name, value in result["figures"].items()]
    keys = ("fps", "frames_out", "duration_s")
    return [(key, _figure(result[key])) for key in keys if key in result]


def _speeds(table: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for row in table["rows"]:
        what = f"{table['title']}: {row['name']}"
        if "failure" in row:
            pairs.append((what, str(row["failure"]).split("\n")[0][:120]))
            continue
        parts = [f"{row['fps']:.1f} frames a second", f"p50 {row['p50_ms']:.2f} ms"]
        if row.get("device_ms") is not None:
            parts.append(f"GPU {row['device_ms']:.2f} ms")
        if row.get("peak_mb") is not None:
            parts.append(f"{row['peak_mb']:.0f} MB")
        if row.get("psnr_db") is not None:
            parts.append(f"{row['psnr_db']:.1f} dB")
        pairs.append((what, ", ".join(parts)))
    return pairs


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
