"""Doctor: checks whether this machine can run everything, and says how to fix what is missing.

Each check looks at one thing and answers with one `Finding`; what it looks at comes in through
`Machine`, so that a test can put a sick machine in front of it. Prints nothing.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream.command.gpu import Gpu, look_at_gpu
from stream.devices import VideoDevice, video_devices
from stream.errors import SinkError

if TYPE_CHECKING:
    from stream.command.painting_speed import PaintingSpeed

State = Literal["ok", "note", "problem"]
"""``note``: something is missing that only some need."""

OLDEST_PYTHON = (3, 11)
LEAST_DISK_BYTES = 2 * 1024**3
LEAST_CACHE_BYTES = 6 * 1024**3
"""An SD 1.5 pipeline in half precision and the room to fetch it."""

GIB = 1024**3

LIVE_FPS = 24
"""What a live session aims at."""

PROBE_SIDE_PX = 256
"""Hardware encoders refuse smaller pictures."""

OPENCV_WHEELS = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        what: The thing looked at.
        state: Whether it is well.
        told: What was found.
        mend: What to do about it; "" where nothing is needed.
    """

    what: str
    state: State
    told: str
    mend: str = ""


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _display_problem() -> str:
    from stream.sinks.window import refuse_without_display

    try:
        refuse_without_display()
    except SinkError as err:
        return str(err)
    return ""


def look_for_encoder(name: str) -> bool:
    """Whether this encoder really opens here: one black picture is encoded."""
    import av
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    try:
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = PROBE_SIDE_PX, PROBE_SIDE_PX, "yuv420p"
        context.time_base = Fraction(1, 24)
        context.encode(VideoFrame(PROBE_SIDE_PX, PROBE_SIDE_PX, "yuv420p"))
    except (av.FFmpegError, ValueError):
        return False
    return True


def look_for_models() -> dict[str, str]:
    """Name and licence of each model that is on this machine."""
    from models import PRESETS, is_present

    return {name: preset.licence for name, preset in PRESETS.items() if is_present(preset)}


@dataclass(frozen=True, slots=True)
class Caches:
    """Where models are kept.

    Attributes:
        hub: Folder that models are fetched into; free_bytes is the room on its disk.
        unwritable: Folders among this and that of compiled models that cannot be written to.
    """

    hub: Path
    free_bytes: int
    unwritable: tuple[Path, ...] = ()


def look_at_caches() -> Caches:
    """Ask the hub's library and our own."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from models import cache_folder

    hub, nowhere = Path(HF_HUB_CACHE), []
    try:
        compiled = cache_folder()
    except OSError:  # nobody's home
        compiled, nowhere = None, [Path("~/.cache/allaprima")]
    folders = [hub] if compiled is None else [hub, compiled]
    barred = [*nowhere, *(folder for folder in folders if not _can_write(folder))]
    return Caches(hub, shutil.disk_usage(_there(hub)).free, tuple(barred))


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _can_write(folder: Path) -> bool:
    place = _there(folder)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def paint_a_second() -> "PaintingSpeed":
    """Measure how fast the bundled model paints, at its own size."""
    from stream.command.painting_speed import measure

    return measure()


def _pipewire_problem() -> str:
    from stream.sinks.pipewire import refuse_without_pipewire

    try:
        refuse_without_pipewire()
    except SinkError as err:
        return str(err)
    return ""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the checks look; a test puts answers of its own here."""

    python: tuple[int, ...] = field(default_factory=lambda: tuple(sys.version_info[:3]))
    platform: str = sys.platform
    version: Callable[[str], str | None] = _version
    gpu: Callable[[], Gpu] = look_at_gpu
    devices: Callable[[], list[VideoDevice]] = video_devices
    display_problem: Callable[[], str] = _display_problem
    free_disk_bytes: Callable[[], int] = lambda: shutil.disk_usage(Path.cwd()).free
    encodes: Callable[[str], bool] = look_for_encoder
    models: Callable[[], dict[str, str]] = look_for_models
    caches: Callable[[], Caches] = look_at_caches
    has_obs: Callable[[], bool] = lambda: shutil.which("obs") is not None
    has_vcam: Callable[[], bool] = lambda: importlib.util.find_spec("pyvirtualcam") is not None
    pipewire_problem: Callable[[], str] = _pipewire_problem
    paints: "Callable[[], PaintingSpeed]" = paint_a_second
    environment: Callable[[str], str | None] = os.environ.get


def examine(machine: Machine | None = None) -> list[Finding]:
    """All checks, in an order to read them in."""
    machine = machine or Machine()
    checks = (
        *(check_python, check_opencv, check_pyav, check_gpu, check_model, check_speed),
        *(check_cache, check_disk),
        *(check_codecs, check_cameras, check_display, check_virtual_camera),
        *([check_pipewire] if machine.platform == "linux" else []),
    )
    return [check(machine) for check in checks]


def check_python(machine: Machine) -> Finding:
    told = ".".join(str(part) for part in machine.python)
    if machine.python[:2] >= OLDEST_PYTHON:
        return Finding("Python", "ok", told)
    oldest = ".".join(str(part) for part in OLDEST_PYTHON)
    return Finding("Python", "problem", told, f"install Python {oldest} or newer")


def check_opencv(machine: Machine) -> Finding:
    """One wheel of OpenCV, and one with windows: two overwrite each other's files."""
    found = {name: version for name in OPENCV_WHEELS if (version := machine.version(name))}
    told = ", ".join(f"{name} {version}" for name, version in found.items()) or "none"
    if len(found) > 1:
        mend = f"pip uninstall {' '.join(found)}, then pip install opencv-python"
        return Finding("OpenCV", "problem", f"{told}: they overwrite each other", mend)
    if not found:
        return Finding("OpenCV", "problem", told, "pip install opencv-python")
    if "headless" in told:
        mend = "pip uninstall opencv-python-headless, then pip install opencv-python"
        return Finding("OpenCV", "note", f"{told}: it has no windows", mend)
    return Finding("OpenCV", "ok", told)


def check_pyav(machine: Machine) -> Finding:
    version = machine.version("av")
    if version is None:
        return Finding("PyAV", "problem", "not installed", "pip install av")
    return Finding("PyAV", "ok", version)


def check_gpu(machine: Machine) -> Finding:
    gpu = machine.gpu()
    if gpu.name:
        if gpu.built_for and not _is_served(gpu):
            told = f"{gpu.name} is {gpu.architecture}; this PyTorch was built for others"
            return Finding("GPU", "problem", told, "install a newer PyTorch, from pytorch.org")
        driver = f", driver {gpu.driver}" if gpu.driver else ""
        return Finding("GPU", "ok", f"{gpu.name}, {gpu.free_bytes / GIB:.1f} GiB free{driver}")
    if gpu.driver and not gpu.cuda_build:
        told = f"NVIDIA driver {gpu.driver}, but this PyTorch was built without CUDA"
        return Finding("GPU", "problem", told, "install a PyTorch with CUDA, from pytorch.org")
    if gpu.driver:
        told = f"PyTorch for CUDA {gpu.cuda_build} sees no GPU with driver {gpu.driver}"
        return Finding("GPU", "problem", told, "update the NVIDIA driver, then restart")
    if machine.version("openvino") is None:
        mend = "pip install 'allaprima[cpu]', which adds OpenVINO, made for that"
        return Finding("GPU", "note", "none: the CPU paints, with PyTorch alone", mend)
    mend = "the bundled model is made for that; larger ones want a GPU to paint in time"
    return Finding("GPU", "note", "none: the CPU paints, with OpenVINO", mend)


def _is_served(gpu: Gpu) -> bool:
    """Code runs on newer chips of the same major number, and compute_ code on all newer ones."""
    major = gpu.architecture[:-1]
    return any(built.startswith((major, "compute_")) for built in gpu.built_for)


def check_model(machine: Machine) -> Finding:
    """The models that are here, each with its licence."""
    found = machine.models()
    told = "; ".join(f"{name}: {licence}" for name, licence in found.items())
    if "bundled" in found:
        return Finding("models", "ok", told)
    mend = "reinstall the package, or give --model"
    missing = "the bundled model's files are missing"
    return Finding("models", "problem", f"{missing}; {told}" if told else missing, mend)


def check_speed(machine: Machine) -> Finding:
    """A second of painting, against what a live session aims at."""
    from models import ModelError

    try:
        speed = machine.paints()
    except (ModelError, ValueError) as err:
        return Finding("speed", "note", f"not measured: {err}", "see what is said of the model")
    width, height = speed.size
    told = f"the bundled model paints {speed.fps:.1f} frames a second at {width}x{height}"
    if speed.fps >= LIVE_FPS:
        return Finding("speed", "ok", told)
    told += f"; live aims at {LIVE_FPS}, and carries the painting along between"
    if machine.gpu().name or machine.version("openvino") is not None:
        mend = "end what else computes here, or give a smaller --size"
    else:
        mend = "pip install 'allaprima[cpu]', which adds OpenVINO; or give a smaller --size"
    return Finding("speed", "note", told, mend)


def check_cache(machine: Machine) -> Finding:
    """Where models are fetched to and compiled ones kept."""
    caches = machine.caches()
    told = f"{caches.hub}, {caches.free_bytes / GIB:.1f} GiB free"
    if caches.unwritable:
        barred = ", ".join(str(path) for path in caches.unwritable)
        mend = "give yourself the folder, or set HF_HOME and ALLAPRIMA_CACHE to others"
        return Finding("model cache", "note", f"{barred} cannot be written to", mend)
    if caches.free_bytes < LEAST_CACHE_BYTES:
        mend = "make room before fetching a model, or set HF_HOME to a folder on another disk"
        return Finding("model cache", "note", told, mend)
    return Finding("model cache", "ok", told)


def check_disk(machine: Machine) -> Finding:
    free = machine.free_disk_bytes()
    told = f"{free / GIB:.1f} GiB free in this folder"
    if free >= LEAST_DISK_BYTES:
        return Finding("disk", "ok", told)
    return Finding("disk", "problem", told, "free some space before recording")


def check_codecs(machine: Machine) -> Finding:
    if not machine.encodes("libx264"):
        mend = "reinstall PyAV: pip install --force-reinstall av"
        return Finding("encoder", "problem", "libx264 does not open", mend)
    hardware = machine.encodes("h264_nvenc")
    return Finding("encoder", "ok", "libx264" + (", h264_nvenc" if hardware else "; no NVENC"))


def check_cameras(machine: Machine) -> Finding:
    devices = [one for one in machine.devices() if not one.is_loopback]
    barred = [one for one in devices if "group video" in one.problem]
    if barred:
        mend = "sudo usermod -aG video $USER, then log in again"
        return Finding("camera", "problem", f"{barred[0].path} is not yours to use", mend)
    usable = [one for one in devices if one.captures]
    if usable:
        told = ", ".join(f"{one.path} ({one.name})" for one in usable)
        return Finding("camera", "ok", told)
    return Finding("camera", "note", "none", "plug one in, or use --from with a file or stream")


def check_display(machine: Machine) -> Finding:
    problem = machine.display_problem()
    if not problem:
        return Finding("display", "ok", machine.environment("DISPLAY") or "the desktop's")
    return Finding("display", "note", "no window can be shown", problem)


def check_virtual_camera(machine: Machine) -> Finding:
    if not machine.has_vcam():
        mend = "pip install 'allaprima[vcam]'"
        return Finding("virtual camera", "note", "pyvirtualcam is not installed", mend)
    if machine.platform != "linux":
        if machine.has_obs():
            return Finding("virtual camera", "ok", "OBS is present")
        return Finding("virtual camera", "note", "OBS was not found", "install OBS Studio")
    loopbacks = [one for one in machine.devices() if one.is_loopback]
    if not loopbacks:
        mend = "sudo modprobe v4l2loopback card_label=allaprima exclusive_caps=1"
        return Finding("virtual camera", "note", "v4l2loopback is not loaded", mend)
    stuck = [one for one in loopbacks if one.is_stuck]
    if len(stuck) == len(loopbacks):
        told = f"{stuck[0].path} was closed with exclusive_caps=1 and cannot be opened again"
        mend = "sudo modprobe -r v4l2loopback, load it again; v4l2loopback 0.13 or newer mends it"
        return Finding("virtual camera", "problem", told, mend)
    return Finding("virtual camera", "ok", loopbacks[0].path)


def check_pipewire(machine: Machine) -> Finding:
    problem = machine.pipewire_problem()
    if not problem:
        return Finding("PipeWire camera", "ok", "PipeWire runs, GStreamer's part is here")
    return Finding("PipeWire camera", "note", "it cannot be shown", problem)
