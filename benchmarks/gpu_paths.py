"""Whether every path on a GPU paints the same: PSNR against the plain path in float32.

    python benchmarks/gpu_paths.py [--dry-run]

The bundled model on smooth pictures; where its files are missing, its architecture with random
weights. The last line is one JSON object; each path that fails says so and costs the others
nothing.
"""

import argparse
import json
from collections.abc import Callable

from contest import Data, in_full_float32, likeness, make_frames
from gpu_runtime import Gpu
from painters import painter

from models import PRESETS, Engine, Style, is_present, load_engine

LEAST_PSNR_DB = 35.0
SIDE_PX, DRY_SIDE_PX = 256, 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Do all paths paint the same?")
    parser.add_argument("--dry-run", action="store_true", help="on a CPU, with the recorder")
    gpu = Gpu(parser.parse_args().dry_run)
    side = DRY_SIDE_PX if gpu.is_dry else SIDE_PX
    data = make_frames(side, side)[0]
    style = Style("oil painting", 0.6, 1)
    reference = in_full_float32(painter(plain(gpu, "float32"), style, (side, side)))(data)
    paths: dict[str, Callable[[], Engine]] = {
        "eager": lambda: plain(gpu),
        "one graph": lambda: gpu.graphed(plain(gpu)),
    }
    if not gpu.is_dry:
        paths["compiled, one graph"] = lambda: gpu.graphed(plain(gpu), "now")
    figures: dict[str, object] = {}
    failed = False
    for name, make in paths.items():
        try:
            engine = make()
            told, good = compared(painter(engine, style, (side, side))(data), reference)
            figures[name] = "; ".join([told, *(str(note) for note in engine.notes)])
            failed |= not good
        except Exception as err:
            figures[name], failed = f"{type(err).__name__}: {err}"[:200], True
        print(f"{name}: {figures[name]}", flush=True)
    print(json.dumps({"figures": figures}))
    raise SystemExit(1 if failed else 0)


def plain(gpu: Gpu, dtype: str | None = None) -> Engine:
    """The plain path, in float32 or in what a GPU computes in."""
    import torch

    kind = torch.float32 if dtype else gpu.dtype
    if is_present(PRESETS["bundled"]):
        return load_engine("bundled", device=gpu.device, dtype=kind, acceleration="off")
    return gpu.engine("bundled", kind)


def compared(picture: Data, reference: Data) -> tuple[str, bool]:
    """In words, and whether it is the same picture."""
    found = likeness(picture, reference)
    if found["is_equal"]:
        return "equal", True
    psnr_db = found["psnr_db"]
    assert isinstance(psnr_db, float)
    return f"{psnr_db:.1f} dB", psnr_db >= LEAST_PSNR_DB


if __name__ == "__main__":
    main()
