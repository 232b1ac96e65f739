"""Compiles the networks for the shapes in use, in another process, while painting goes on.

    shape ──► found on disk? ──no──► compiled in another process ──► loaded, tried ──► taken over

A thread beside the caller waits for the process, loads what it made and runs it once, so that
nothing is left to do between two frames but to capture. It touches nothing of the caller's but the
weights, which it reads. What cannot be compiled stays as it is, and `Engine.notes` says why.
"""

import logging
import os
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from models.acceleration import CompileMode
from models.acceleration.cuda.compile_spec import (
    PART_NAMES,
    CompileSpec,
    UncompilableError,
    inputs_of,
    make_compile_spec,
)
from models.acceleration.cuda.device import Device
from models.acceleration.cuda.inductor_cache import LOADING_ERRORS, InductorCache, load_parts
from models.acceleration.cuda.whole_frame import FrameFunction, Parts, Shape
from models.engine import Engine
from models.errors import in_short

logger = logging.getLogger(__name__)

FRAMES_BEFORE_BUILDING = 150
"""In mode "auto", frames of a shape before compiling begins: a picture or two do not pay for it."""

LOG_NAME = "log.txt"


class Building(Protocol):
    """A compilation under way."""

    def wait(self) -> int:
        """Wait for its end; 0 is success."""

    def cancel(self) -> None:
        """End it now."""


class BuildingProcess:
    """`compile_process.py` in a process of its own, its words in `folder`/log.txt."""

    def __init__(self, folder: Path) -> None:
        root = str(Path(__file__).parents[3])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        spare = str(max(1, (os.cpu_count() or 1) // 2))  # the others go on painting
        env = {"TORCHINDUCTOR_COMPILE_THREADS": spare, "OMP_NUM_THREADS": "1", **os.environ}
        with (folder / LOG_NAME).open("wb") as log:
            self._process = subprocess.Popen(
                # -P: a folder "models" in the working directory must not be imported
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "models.acceleration.cuda.compile_process",
                    str(folder),
                ],
                stdin=subprocess.PIPE,  # closed by our end, whichever: it ends with us
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**env, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is for the session, which cancels this
            )

    def wait(self) -> int:
        with self._process:
            return self._process.wait()

    def cancel(self) -> None:
        self._process.kill()


class CompiledNetworks:
    """What `graphs.Compiled` asks for: asked before every frame, answers when it has some.

    Args:
        engine: Its UNet must be split; its notes say what came of it.
        device: Where the loaded networks are tried.
        artifacts: What is on disk.
        mode: "auto" or "now".
        start: Begins a compilation into a folder that has a blueprint.
        load: Makes of such a folder, filled, networks on the engine's weights.
    """

    def __init__(
        self,
        engine: Engine,
        device: Device,
        artifacts: InductorCache,
        mode: CompileMode = "auto",
        start: Callable[[Path], Building] = BuildingProcess,
        load: Callable[[Path, Parts], Parts] = load_parts,
    ) -> None:
        self._engine = engine
        self._is_patient = mode == "auto"
        self._jobs: dict[tuple[Shape, tuple[tuple[int, ...], ...]], _Job] = {}
        self._worker = _Worker(device, artifacts, start, load)
        self._artifacts = artifacts
        weakref.finalize(self, self._worker.abandon)  # also where nobody closes, at exit

    def take(self, frame: FrameFunction) -> Parts | None:
        """The networks for a function's shape when they are there, each function once."""
        key = frame.shape, tuple(frame.held_shapes)
        if key not in self._jobs:
            self._jobs[key] = self._make_job(frame)
        job = self._jobs[key]
        if (job.is_over and job.parts is None) or frame in job.offered:
            return None
        self._ask(job)
        return self._outcome(job, frame)

    def close(self) -> None:
        """Stop compiling; what was taken stays good. May be called again."""
        self._worker.close()

    def _make_job(self, frame: FrameFunction) -> "_Job":
        try:
            return _Job(make_compile_spec(self._engine, frame), frame.parts)
        except UncompilableError as err:
            self._engine.note(f"kernels are not compiled: {err}", logging.INFO)
            return _Job(None, frame.parts)

    def _ask(self, job: "_Job") -> None:
        """Queue the job once it is worth it."""
        assert job.blueprint is not None
        job.asked += 1
        pays = job.asked > FRAMES_BEFORE_BUILDING or not self._is_patient
        if not job.is_queued and (pays or (job.asked == 1 and self._artifacts.has(job.blueprint))):
            job.is_queued = True
            self._tell(job.blueprint)
            self._worker.add(job)
        if job.is_queued and not self._is_patient:
            torch.cuda.empty_cache()  # room for the compiler's trials; nothing without a GPU
            job.done.wait()

    def _tell(self, blueprint: CompileSpec) -> None:
        if not self._artifacts.has(blueprint):
            level = logging.INFO if self._is_patient else logging.WARNING
            _, height, width = blueprint.shape
            sentence = "compiling kernels for %dx%d: this takes minutes, once on this machine"
            logger.log(level, sentence, width, height)

    def _outcome(self, job: "_Job", frame: FrameFunction) -> Parts | None:
        if not job.done.is_set():
            return None
        job.is_over = True
        if job.parts is None:
            self._engine.note(f"kernels are not compiled: {job.failure}", logging.INFO)
        else:
            job.offered.add(frame)
        return job.parts


class _Job:
    """One shape's networks, wanted. `parts` and `failure` are the worker's until `done` is set.

    `offered` are the functions that were given them, whether they could take them or not.
    """

    def __init__(self, blueprint: CompileSpec | None, own: Parts) -> None:
        self.blueprint = blueprint
        self.own = own
        self.asked = 0
        self.is_queued = False
        self.is_over = blueprint is None
        self.done = threading.Event()
        self.offered: weakref.WeakSet[FrameFunction] = weakref.WeakSet()
        self.parts: Parts | None = None
        self.failure = "it was broken off"


class _Worker:
    """One job after the other, each in a thread of its own, which no error outlives."""

    def __init__(
        self,
        device: Device,
        artifacts: InductorCache,
        start: Callable[[Path], Building],
        load: Callable[[Path, Parts], Parts],
    ) -> None:
        self._device = device
        self._artifacts = artifacts
        self._start = start
        self._load = load
        self._threads: list[threading.Thread] = []
        self._turn = threading.Lock()
        self._lock = threading.Lock()  # of the two below
        self._building: Building | None = None
        self._is_closed = False

    def add(self, job: _Job) -> None:
        # daemons: a program that ends without `close` must not wait for a compiler
        thread = threading.Thread(target=self._run, args=(job,), name="compiled", daemon=True)
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        thread.start()

    def abandon(self) -> None:
        """Take no more jobs, and end the compilation under way."""
        with self._lock:
            self._is_closed = True
            if self._building is not None:
                self._building.cancel()

    def close(self) -> None:
        self.abandon()
        for thread in self._threads:
            thread.join()

    def _run(self, job: _Job) -> None:
        try:
            with self._turn:
                if not self._is_closed:
                    job.parts = self._made(job)
        except LOADING_ERRORS as err:
            job.failure = in_short(err)
        finally:
            job.done.set()

    def _made(self, job: _Job) -> Parts:
        assert job.blueprint is not None
        folder = self._artifacts.find(job.blueprint)
        if folder is not None:
            try:
                return self._loaded(folder, job)
            except torch.OutOfMemoryError:
                raise  # no fault of the files
            except LOADING_ERRORS:
                self._artifacts.remove(job.blueprint)  # made again below
        return self._loaded(self._built(job.blueprint), job)

    def _built(self, blueprint: CompileSpec) -> Path:
        folder = self._artifacts.begin(blueprint)
        try:
            with self._lock:
                if self._is_closed:
                    raise RuntimeError("the engine was closed")
                self._building = self._start(folder)
            code = self._building.wait()
            with self._lock:
                self._building = None
            if code:
                raise RuntimeError(f"the compiler ended with {code}: {_last_words(folder)}")
            return self._artifacts.keep(folder, blueprint)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _loaded(self, folder: Path, job: _Job) -> Parts:
        assert job.blueprint is not None
        parts, blueprint = self._load(folder, job.own), job.blueprint

        @torch.inference_mode()
        def try_out() -> None:
            for name in PART_NAMES:
                inputs = [
                    torch.zeros(shape, dtype=dtype, device=blueprint.device)
                    for shape, dtype in inputs_of(name, blueprint)
                ]
                getattr(parts, name)(*inputs)

        self._device.aside(try_out)
        return parts


def _last_words(folder: Path) -> str:
    lines = (folder / LOG_NAME).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "without a word")[:200]
