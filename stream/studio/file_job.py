"""FileJob: one dropped file, and what is written beside it so that a restart goes on with it."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.offline.jobs import DEFAULT_CONTAINER, VIDEO_SUFFIXES
from stream.video_info import IMAGE_SUFFIXES

NAME = "job.json"
OVER = ("done", "failed", "stopped")
STATES = ("looking", "waiting", "loading", "running", *OVER)
KEPT = ("id", "person", "name", "options", "state", "told", "frames", "frames_done", "problem")
"""Attributes that are written down."""


@dataclass(slots=True, eq=False)
class FileJob:
    """One dropped file.

    Attributes:
        person: Whose it is.
        state: looking, waiting, loading, running, done, stopped, failed.
        told: What the process has said, by word.
        saved: What was last written down.
    """

    id: str
    person: str
    name: str
    room: Path
    source: Path
    options: dict[str, Any]
    state: str = "looking"
    told: dict[str, Any] = field(default_factory=dict)
    frames: int | None = None
    frames_done: int = 0
    problem: str = ""
    process: "subprocess.Popen[str] | None" = None
    began_s: float = 0.0
    took_s: float = 0.0
    speeds: list[tuple[float, int]] = field(default_factory=list)
    is_paused: bool = False
    saved: str = ""

    @property
    def result(self) -> Path:
        """What it becomes."""
        suffix = self.source.suffix.lower()
        kept = suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES
        return self.room / f"painted{suffix if kept else DEFAULT_CONTAINER}"

    @property
    def poster(self) -> Path:
        """Its first picture."""
        return self.room / "poster.jpg"

    @property
    def preview(self) -> Path:
        """The newest painted one."""
        return self.room / "preview.jpg"

    def save(self) -> None:
        """Write it down, where it has another state than was written.

        Raises:
            OSError: The room cannot be written.
        """
        if self.state == self.saved:
            return
        kept = {word: getattr(self, word) for word in KEPT}
        part = self.room / f"{NAME}.part"
        part.write_text(json.dumps({**kept, "source": self.source.name, "took_s": self.took_s}))
        part.replace(self.room / NAME)
        self.saved = kept["state"]


def load(room: Path) -> FileJob | None:
    """What is written down in a room, ready to go on; ``None`` where nothing of use is."""
    try:
        kept = json.loads((room / NAME).read_text())
        source = room / Path(kept["source"]).name
        words = {word: kept[word] for word in (*KEPT, "took_s")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    job = FileJob(room=room, source=source, **words)
    texts = (job.id, job.person, job.name, job.problem)
    if job.state not in STATES or not source.is_file() or not isinstance(job.options, dict):
        return None
    if not (all(isinstance(text, str) for text in texts) and isinstance(job.told, dict)):
        return None
    if job.state not in ("looking", *OVER):
        job.state = "waiting"
    # the folder may have been moved
    job.options["inputs"], job.options["output"] = [str(source)], str(job.result)
    return job
