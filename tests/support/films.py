"""Films of several shots, made on the spot, and file jobs over them with the fake engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from clips import Clip, write_clip
from fakes import FakeEngine
from numpy.typing import NDArray

from models.recipe import Computation
from stream.offline.film import Film, FilmPainter, describe_film
from stream.offline.film_job import FilmJob, LocalPainter
from stream.offline.options import RestyleOptions
from stream.offline.part_store import is_unfinished, parts_folder
from stream.offline.results import Result
from stream.sources.video_range import VideoRange
from stream.stats import Stats

SHOT_FRAMES = 15
LEAST_S = Fraction(1)
TICKS = 3600
"""Of 1/90000 s: 25 frames a second."""

FRAMES = 120
PART_STARTS = [index * 30 * TICKS for index in range(4)]
"""Shots of 0.6 s make parts of two, where a part is a second or more."""


def shots(count: int, size: tuple[int, int] = (96, 64), seed: int = 3) -> list[NDArray[np.uint8]]:
    """Pictures of so many shots, each a slow pan over a scene of its own."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        coarse = random.integers(0, 256, (5, 6, 3), np.uint8)
        scene = cv2.resize(coarse, (size[0] + 40, size[1] + 20), interpolation=cv2.INTER_CUBIC)
        for index in range(SHOT_FRAMES):
            pictures.append(np.ascontiguousarray(scene[: size[1], index : index + size[0]]))
    return pictures


def write_film(path: Path, count: int = 8, **traits: Any) -> Path:
    """A film of so many shots, with sound unless `traits` say otherwise."""
    if not traits:
        path.write_bytes(_film_of(count, path.suffix))
        return path
    pictures = shots(count)
    pts = tuple(range(0, len(pictures) * TICKS, TICKS))
    return write_clip(path, Clip(**{"pts": pts, "pictures": pictures, "audio": "aac", **traits}))


@cache
def _film_of(count: int, suffix: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write_film(Path(folder, f"film{suffix}"), count, audio="aac").read_bytes()


@cache
def whole_film() -> bytes:
    """The film of eight shots, painted in one go with nothing asked, as an .mp4: its bytes."""
    with TemporaryDirectory() as folder:
        return run(write_film(Path(folder, "film.mp4")), Path(folder, "whole.mp4"))


class FilmEngine(FakeEngine):
    """The fake engine with what a file job asks of an engine besides."""

    side_by_side = None

    def __init__(self, weights: str = "fake", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.computation = Computation("fake", 0, lambda: weights)


def options_of(**changes: Any) -> RestyleOptions:
    """What `allaprima restyle` is asked where nothing is given."""
    plain = {
        "model": "fake", "loras": (), "vae": None, "offline": True, "device": "cpu",
        "compile": "off", "size": None, "stability": None, "inputs": ("in",), "output": "out",
        "prompt": None, "strength": None, "steps": None, "guidance": None, "seed": None,
        "look_ahead": True, "every": 1, "batch": 1, "output_size": "source", "fps_target": 24.0,
        "codec": None, "crf": None, "encoder_preset": "ultrafast", "overwrite": False,
        "recipe": None, "workers": None,
        "recursive": False, "watch": False, "json": None, "quiet": True,
    }  # fmt: skip
    return RestyleOptions(**{**plain, **changes})


@dataclass
class Job:
    """One run of a file job over a film, with the fake engine, in this process."""

    source: Path
    target: Path
    changes: dict[str, Any] = field(default_factory=dict)
    engine: FilmEngine = field(default_factory=FilmEngine)
    painted: list[int] = field(default_factory=list)
    stop_after: int | None = None
    on_frame: Callable[[int], None] = lambda count: None
    overwrite: bool = False

    @property
    def options(self) -> RestyleOptions:
        preset = None if self.target.suffix == ".webm" else "ultrafast"
        if self.changes.get("codec") not in (None, "libx264", "libx265"):
            preset = None
        return options_of(**{"encoder_preset": preset, **self.changes})

    def film(self) -> Film:
        with VideoRange(self.source) as reading:
            info = reading.info
        return describe_film(
            self.source, self.target, info, self.engine, self.options, least_part_s=LEAST_S
        )

    def run(self, stats: Stats | None = None) -> Result:
        job = FilmJob(self.film(), overwrite=self.overwrite)
        painter = FilmPainter(self.engine, self.options)

        def on_frame(frame: Any) -> None:
            self.painted.append(frame.pts)
            self.on_frame(len(self.painted))
            if self.stop_after is not None and len(self.painted) == self.stop_after:
                painter.stop()

        return job.run(LocalPainter(painter), stats or Stats(), on_frame)

    def again(self, **changes: Any) -> "Job":
        """The same, for another run."""
        return replace(self, painted=[], **changes)


def run(source: Path, target: Path, **changes: Any) -> bytes:
    """Paint a film in one go; the output's bytes."""
    Job(source, target, changes).run()
    return target.read_bytes()


def pts_of(parts: Sequence[Path]) -> list[int]:
    """Where parts begin, by their file names."""
    return sorted(int(path.stem) for path in parts)


def make_engine(options: RestyleOptions) -> FilmEngine:
    """What a worker loads in place of a model."""
    return FilmEngine(options.model)


def in_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted_and_resumed(job: Job, *stops: int) -> bytes:
    for stop in stops:
        job.again(stop_after=stop).run()
        assert is_unfinished(job.target)
    job.again().run()
    assert not parts_folder(job.target).exists()
    return job.target.read_bytes()
