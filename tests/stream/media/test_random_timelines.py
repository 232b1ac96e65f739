"""Random timelines: edit lists x B-frames x uneven pictures x joins x containers, each compared
with what FFmpeg itself presents of the file.
"""

from pathlib import Path

import numpy as np
import pytest
from edit_lists import EMPTY, with_edits
from signals import Presented, Signal, carry, reference, write_signal

CASES = 300
FAST = 12
IN_STEP_S = 0.04
FLASH_S = 0.01
"""How exactly a flash of 50 pictures a second, or a beep of AAC, can be placed."""


def random_signal(rng: np.random.Generator) -> Signal:
    rate = int(rng.choice([20, 24, 25, 30, 50]))
    return Signal(
        seconds=float(rng.choice([1.0, 2.0, 3.0])),
        rate=rate,
        uneven=int(rng.integers(1000)) if rng.random() < 0.4 else None,
        b_frames=int(rng.choice([0, 1, 2, 3])),
        key_every=int(rng.choice([10, 25, 75])),
        sound=str(rng.choice(["aac", "aac", "mp2"])),
        sound_rate=int(rng.choice([44_100, 48_000])),
    )


def random_edits(rng: np.random.Generator, seconds: float) -> dict[int, list[tuple[float, float]]]:
    """Up to three stretches, the same of pictures and sound, perhaps after a pause."""
    edits: list[tuple[float, float]] = []
    if rng.random() < 0.3:
        edits.append((float(rng.choice([0.2, 0.5])), EMPTY))
    for _ in range(int(rng.integers(1, 4))):
        begin_s = round(float(rng.uniform(0, seconds * 0.6)), 2)
        edits.append((round(float(rng.uniform(0.3, seconds - begin_s)), 2), begin_s))
    return {0: edits, 1: edits}


def build(path: Path, rng: np.random.Generator) -> tuple[Path, int | None]:
    """A file; and where recordings are joined in it, how many flashes they have."""
    kind = str(rng.choice(["edits", "edits", "edits", "joined", "joined", "plain"]))
    signal = random_signal(rng)
    if kind == "edits":
        plain = write_signal(path / "plain.mp4", signal)
        suffix = str(rng.choice([".mp4", ".mov"]))
        return with_edits(plain, path / f"in{suffix}", random_edits(rng, signal.seconds)), None
    if kind == "plain":
        suffix = str(rng.choice([".mkv", ".mp4", ".ts", ".mov", ".flv"]))
        if suffix == ".flv":
            signal = Signal(signal.seconds, signal.rate, signal.uneven, signal.b_frames)
        return write_signal(path / f"in{suffix}", signal), None
    flashes, data = 0, b""
    for index in range(int(rng.integers(2, 4))):
        begin_s = float(rng.choice([0.0, 0.0, 0.9, 5.0, 300.0, 4000.0]))
        one = random_signal(rng)
        changed = Signal(
            one.seconds,
            one.rate,
            one.uneven,
            one.b_frames,
            one.key_every,
            signal.sound,
            signal.sound_rate,
            begin_s,
        )
        flashes += round(one.seconds)
        data += write_signal(path / f"{index}.ts", changed).read_bytes()
    (path / "in.ts").write_bytes(data)
    return path / "in.ts", flashes


def paired(ours: Presented, theirs: Presented) -> list[tuple[float, float]]:
    """(our, their) offset of sound to picture at each flash that has a beep."""
    pairs: list[tuple[float, float]] = []
    if not theirs.beeps_s:
        return pairs
    for our, their in zip(ours.flashes_s, theirs.flashes_s, strict=True):
        near = [
            min(shown.beeps_s, key=lambda beep: abs(beep - flash)) - flash
            for shown, flash in ((ours, our), (theirs, their))
        ]
        if abs(near[1]) < 0.3:
            pairs.append((near[0], near[1]))
    return pairs


@pytest.mark.parametrize(
    "seed",
    [pytest.param(one, marks=[] if one < FAST else pytest.mark.slow) for one in range(CASES)],
)
def test_what_is_shown_is_what_ffmpeg_shows(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, flashes = build(tmp_path, rng)
    target = tmp_path / f"out{rng.choice(['.mp4', '.mkv', '.mov'])}"
    carried = carry(source, target)
    ours, theirs = carried.presented(), reference(source, tmp_path)
    assert not carried.damaged, carried.losses
    if flashes is None:
        # A frame at each end of each edit is FFmpeg's to include or not.
        assert theirs.pictures - ours.pictures <= 1
        frame_s = max(0.05, ours.longest_s, theirs.longest_s)
        assert abs(ours.end_s - theirs.end_s) <= frame_s + 1e-3
        assert len(ours.beeps_s) >= len(theirs.beeps_s)
        if ours.pictures > theirs.pictures + 1:
            return  # where edits overlap FFmpeg's command shows fewer than its library
    else:
        # FFmpeg lets the first stream that jumps decide: it may put sound beside its pictures.
        assert len(ours.flashes_s) == len(ours.beeps_s) == flashes
        assert max(np.abs(ours.offsets_s())) <= IN_STEP_S + FLASH_S
        return
    for our, their in paired(ours, theirs):
        assert abs(our - their) <= IN_STEP_S
