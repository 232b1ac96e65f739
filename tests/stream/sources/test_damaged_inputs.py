"""Five hundred damaged inputs of nineteen containers and formats: what comes of each is said."""

import itertools
from pathlib import Path

import pytest
from damaged import INPUTS, damaged

from stream.errors import SourceError
from stream.sources import open_source

NUMBERS = range(28)
FEW = range(4)

SAYS_NO_LENGTH = {"mpg", "file list"}
"""What has no length of its own: where the end is cut off cleanly nobody can tell."""

SAYS_IT_IN_TABLES = {"edit lists", "mov", "mkv", "webm", "playlist", "gif"}
"""Where the tables themselves may be damaged so that they say less, and agree with themselves."""

MOST_SILENT = 0.1
"""Share of such that may be short without a word (measured: 11 in 760 damaged inputs)."""


def outcome(path: Path) -> tuple[int, bool]:
    """Frames that came, and whether something was said to be lost; (0, True) of a refusal.

    Anything but a SourceError goes through: that would be a traceback.
    """
    try:
        with open_source(path) as source:
            frames = list(source)
    except SourceError as err:
        assert str(err).endswith(".")
        return 0, True
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert len({frame.size for frame in frames}) <= 1
    return len(frames), source.damaged


def silent_losses(folder: Path, name: str, numbers: range) -> list[str]:
    """The damage after which frames are missing without a word."""
    make, count = INPUTS[name]
    path = make(folder)
    whole = path.read_bytes()
    assert outcome(path) == (count, False)
    silent = []
    for number in numbers:
        data, what = damaged(whole, number, name)
        path.write_bytes(data)
        frames, is_said = outcome(path)
        if frames < count and not is_said:
            silent.append(f"{number}: {what}, {frames} of {count}")
    return silent


def check(folder: Path, name: str, numbers: range) -> None:
    silent = silent_losses(folder, name, numbers)
    if name in SAYS_IT_IN_TABLES:
        assert len(silent) <= MOST_SILENT * len(numbers) + 1, silent
    elif name not in SAYS_NO_LENGTH:
        assert silent == []


def test_there_are_five_hundred() -> None:
    assert len(INPUTS) * len(NUMBERS) >= 500
    assert len(INPUTS) >= 12


@pytest.mark.parametrize("name", INPUTS)
def test_a_few_damaged_inputs_are_read_or_refused(tmp_path: Path, name: str) -> None:
    check(tmp_path, name, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", INPUTS)
def test_damaged_inputs_are_read_or_refused(tmp_path: Path, name: str) -> None:
    check(tmp_path, name, NUMBERS)
