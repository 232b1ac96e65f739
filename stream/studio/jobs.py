"""JobQueue: dropped files, restyled one after the other by a process of their own.

    upload ─► look at it ─► wait ─► run (paused while somebody paints live) ─► done

Each job is written down in its room: a studio that is started again goes on with it, and a video
with the parts of it that are painted.

Belongs to the web thread, but for what its readers put into a job, under its lock.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from stream.clock import Clock
from stream.studio.file_job import OVER, FileJob, load
from stream.workers import Failures, Worker

JOIN_S = 5.0
SPEED_S = 5.0
"""The speed shown is the average over this long."""

CAN_PAUSE = hasattr(signal, "SIGSTOP")


Start = Callable[[dict[str, Any]], "subprocess.Popen[str]"]


class JobQueue:
    """All files of a studio, in the order that they came.

    Args:
        start: Starts the process for an order.
        machine: The options of model and machine, as `RestyleOptions` names them.
    """

    def __init__(
        self, machine: dict[str, Any], *, clock: Clock, start: "Start | None" = None
    ) -> None:
        self.is_live = False
        self._machine = machine
        self._clock = clock
        self._start = start or start_process
        self._lock = threading.Lock()
        self._jobs: list[FileJob] = []
        self._failures = Failures()
        self._readers: list[Worker] = []

    def add(self, person: str, name: str, source: Path, asked: dict[str, Any]) -> FileJob:
        """A file has been uploaded into a room of its own; `asked` is checked."""
        job = FileJob(
            secrets.token_urlsafe(16), person, name, source.parent, source, self._options(asked)
        )
        job.options["inputs"], job.options["output"] = [str(source)], str(job.result)
        with self._lock:
            self._jobs.append(job)
        self._look(job)
        return job

    def go_on(self, rooms: list[Path]) -> None:
        """Take up what an earlier studio left in these rooms, in this order."""
        jobs = [job for job in map(load, rooms) if job is not None]
        with self._lock:
            self._jobs[:0] = jobs
        for job in jobs:
            if job.state == "looking":
                self._look(job)

    def of(self, person: str) -> list[FileJob]:
        """A person's jobs, in order."""
        with self._lock:
            return [job for job in self._jobs if job.person == person]

    def find(self, person: str, id_: str) -> FileJob | None:
        """One of a person's jobs."""
        return next((job for job in self.of(person) if job.id == id_), None)

    def place(self, job: FileJob) -> int:
        """How many are before it."""
        with self._lock:
            active = [one for one in self._jobs if one.state not in OVER]
        return active.index(job) if job in active else 0

    def tick(self) -> None:
        """Start what is next; pause what runs while somebody is live; write down what changed."""
        with self._lock:
            for job in self._jobs:
                with suppress(OSError):  # a full disk; the job itself will say so
                    job.save()
            running = next((job for job in self._jobs if job.state in ("loading", "running")), None)
            waiting = next((job for job in self._jobs if job.state == "waiting"), None)
        if running is not None:
            self._pause(running, self.is_live)
        elif waiting is not None and not self.is_live:
            waiting.state, waiting.began_s = "loading", self._clock.now_s()
            order = {"task": "restyle", "sink": str(waiting.result), "options": waiting.options}
            self._run(waiting, {**order, "preview": str(waiting.preview)})

    def stop(self, job: FileJob) -> None:
        """End a job; what is painted of a running one is kept."""
        if job.state == "running" and job.process is not None:
            self._pause(job, False)
            job.process.terminate()
        elif job.state not in OVER:
            self._kill(job)
            job.state = "stopped"

    def remove(self, job: FileJob) -> None:
        """Forget a job; its files are the caller's to remove."""
        self._kill(job)
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)

    def close(self) -> None:
        """End everything; what is written down stays."""
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            self._kill(job)
        for reader in self._readers:
            reader.join()

    def as_dict(self, job: FileJob) -> dict[str, Any]:
        """What a page shows of a job."""
        with self._lock:
            told = {word: job.told.get(word) for word in ("size", "seconds", "picture", "rate")}
            fps = self._speed(job)
        left = None
        if fps and job.frames and job.state == "running":
            left = max(0.0, (job.frames - job.frames_done) / fps)
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "paused": job.is_paused,
            "place": self.place(job),
            "live": self.is_live,
            "frames": job.frames,
            "done": job.frames_done,
            "fps": round(fps, 1),
            "left": left,
            "took": job.took_s,
            "problem": job.problem,
            "notes": job.told.get("notes", []),
            "look": {word: job.options[word] for word in ("prompt", "strength")},
            **told,
        }

    def _options(self, asked: dict[str, Any]) -> dict[str, Any]:
        plain = {"every": 1, "batch": 1, "output_size": "source", "fps_target": 24.0}
        encoder = {"codec": None, "crf": None, "encoder_preset": None}
        quiet = {"overwrite": True, "json": None, "quiet": True}
        words = ("prompt", "strength", "steps", "guidance", "seed", "stability")
        look = {word: asked.get(word) for word in words}
        ahead = {"look_ahead": bool(asked.get("look_ahead", True))}
        return {**self._machine, **plain, **encoder, **quiet, **look, **ahead}

    def _speed(self, job: FileJob) -> float:
        if len(job.speeds) < 2 or job.state != "running":
            return 0.0
        (from_s, from_count), (to_s, to_count) = job.speeds[0], job.speeds[-1]
        return (to_count - from_count) / (to_s - from_s) if to_s > from_s else 0.0

    def _run(self, job: FileJob, order: dict[str, Any]) -> None:
        order = {**order, "source": str(job.source), "name": job.name}
        job.process = self._start(order)
        reader = Worker(
            "job reader", [partial(self._read, job, job.process)], self._failures, JOIN_S
        )
        self._readers = [one for one in self._readers if not one.has_ended] + [reader]
        reader.start()

    def _look(self, job: FileJob) -> None:
        self._run(job, {"task": "look", "poster": str(job.poster)})

    def _pause(self, job: FileJob, wanted: bool) -> None:
        if not CAN_PAUSE or job.process is None or job.is_paused == wanted:
            return
        if job.process.poll() is None:
            os.kill(job.process.pid, signal.SIGSTOP if wanted else signal.SIGCONT)
            job.is_paused = wanted
            with self._lock:
                job.speeds.clear()

    def _kill(self, job: FileJob) -> None:
        if job.process is not None and job.process.poll() is None:
            job.process.kill()

    # The reader's thread

    def _read(self, job: FileJob, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                self._hear(job, line)
            process.wait()
        with self._lock:
            if job.process is process and job.state not in (*OVER, "waiting"):
                job.state = "failed"
                job.problem = job.problem or (
                    f"{job.name} could not be read to its end; check that it plays."
                )

    def _hear(self, job: FileJob, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:  # a library speaks
            return
        now_s = self._clock.now_s()
        with self._lock:
            job.told.update(said)
            if "error" in said:
                job.state, job.problem = "failed", said["error"]
            elif "size" in said:
                job.state, job.frames = "waiting", said["frames"]
            elif "begun" in said:
                job.state, job.frames = "running", said["frames"] or job.frames
            elif "frame" in said:
                job.frames_done = said["frame"]
                kept = [one for one in job.speeds if now_s - one[0] < SPEED_S]
                job.speeds = [*kept, (now_s, said["frame"])]
            elif "done" in said:
                job.state = "stopped" if said["stopped"] else "done"
                job.frames_done, job.took_s = said["frames"], now_s - job.began_s


def start_process(order: dict[str, Any]) -> "subprocess.Popen[str]":
    """Start `job_process.py` and give it its order; it ends with this process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.studio.job_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    return process
