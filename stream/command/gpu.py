"""The accelerator of this machine, as PyTorch and the driver report it; for the doctor."""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

UNKNOWN_VERSION = "of unknown version"


@dataclass(frozen=True, slots=True)
class Gpu:
    """The accelerator as PyTorch reports it.

    Attributes:
        cuda_build: The CUDA version that PyTorch was built for; "" for a build without.
        name: The device's name; "" where PyTorch sees none.
        architecture: Such as ``sm_90``; `built_for` is what the build has code for.
        free_bytes: Free memory.
        driver: Version of the NVIDIA driver, or "of unknown version"; "" where there is none.
    """

    cuda_build: str = ""
    name: str = ""
    architecture: str = ""
    built_for: tuple[str, ...] = ()
    free_bytes: int = 0
    driver: str = ""


def look_at_gpu() -> Gpu:
    """Ask PyTorch; takes the second that its import takes."""
    import torch

    driver, build = nvidia_driver(), torch.version.cuda or ""
    if not torch.cuda.is_available():
        return Gpu(build, driver=driver)
    major, minor = torch.cuda.get_device_capability()
    return Gpu(
        build,
        torch.cuda.get_device_name(),
        f"sm_{major}{minor}",
        tuple(torch.cuda.get_arch_list()),
        torch.cuda.mem_get_info()[0],
        driver,
    )


def nvidia_driver(proc: Path = Path("/proc/driver/nvidia")) -> str:
    """The version that the kernel module reports, "of unknown version", or "" without a driver."""
    with suppress(OSError):
        found = re.search(r"Kernel Module\D*([\d.]+)", (proc / "version").read_text())
        return found[1] if found else UNKNOWN_VERSION
    return UNKNOWN_VERSION if proc.exists() or shutil.which("nvidia-smi") else ""
