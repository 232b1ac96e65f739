"""Compiled networks on disk: whole or not there."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from miniature import make_engine, make_lcm
from painting import make_frame, ready

from models import Engine
from models.acceleration.cuda.compile_spec import (
    PART_NAMES,
    make_compile_spec,
)
from models.acceleration.cuda.inductor_cache import MOST_KEPT, InductorCache


@pytest.fixture(scope="module")
def engine() -> Engine:
    return ready(make_engine(make_lcm()))


@pytest.fixture
def cache(tmp_path: Path) -> InductorCache:
    return InductorCache(tmp_path / "compiled")


def fill(folder: Path, text: str = "kernels") -> None:
    for name in PART_NAMES:
        (folder / f"{name}.bin").write_text(f"{text} {name}")


def test_what_was_kept_is_found(engine: Engine, cache: InductorCache, tmp_path: Path) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    assert cache.find(blueprint) is None
    folder = cache.begin(blueprint)
    fill(folder)
    assert not cache.has(blueprint)  # not whole yet
    place = cache.keep(folder, blueprint)
    assert cache.find(blueprint) == place
    assert [path.name for path in (tmp_path / "compiled").iterdir()] == [blueprint.key]


@pytest.mark.parametrize("damage", ["changed", "gone", "digests"])
def test_damaged_folder_is_removed(engine: Engine, cache: InductorCache, damage: str) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    folder = cache.begin(blueprint)
    fill(folder)
    place = cache.keep(folder, blueprint)
    match damage:
        case "changed":
            (place / "body.bin").write_text("kernels of another")
        case "gone":
            (place / "body.bin").unlink()
        case "digests":
            (place / "digests.json").write_text("{")
    assert cache.find(blueprint) is None
    assert not place.exists()


def test_another_program_that_is_quicker_is_no_obstacle(
    engine: Engine, cache: InductorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    theirs, ours = cache.begin(blueprint), cache.begin(blueprint)
    for folder in (theirs, ours):
        fill(folder, folder.name)
    place = cache.keep(theirs, blueprint)
    monkeypatch.setattr(cache, "remove", lambda blueprint: None)  # it came in just after
    assert cache.keep(ours, blueprint) == place
    assert cache.find(blueprint) == place and not ours.exists()


def test_folders_used_longest_ago_go(engine: Engine, cache: InductorCache) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    made = [replace(blueprint, machine=str(index)) for index in range(MOST_KEPT + 1)]
    for one in made:
        folder = cache.begin(one)
        fill(folder)
        cache.keep(folder, one)
        used = cache.find(made[0])  # again and again
        assert used is not None
        os.utime(used, (2e9, 2e9))  # though clocks may be coarse
    assert not cache.has(made[1])
    assert all(cache.has(one) for one in (made[0], *made[2:]))
