"""Inductor cache: compiled networks on disk, one folder a `CompileSpec`, verified before use.

    <cache folder>/compiled/<key>/  blueprint.json  opening.bin  body.bin  closing.bin  digests.json

`digests.json` (cache/digests.py) makes a folder whole. A file that does not fit it is damaged: the
folder is removed, and made again.
"""

import os
import pickle
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from models.acceleration.cache.digests import DIGESTS_NAME, has_digests, is_whole, write_digests
from models.acceleration.cache.folder import begin, prune, put
from models.acceleration.cuda.compile_process import BLUEPRINT_NAME
from models.acceleration.cuda.compile_spec import PART_NAMES, CompileSpec, weights_of
from models.acceleration.cuda.whole_frame import Parts

MOST_KEPT = 24
"""Folders; those used longest ago go first."""

LOADING_ERRORS = (
    OSError,
    RuntimeError,
    AssertionError,
    ImportError,
    AttributeError,
    TypeError,
    ValueError,
    LookupError,
    EOFError,
    pickle.UnpicklingError,
)
"""What another Inductor's file, or a damaged one, may end in."""


class InductorCache:
    """The folders of one cache.

    Args:
        root: Made when something is kept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, blueprint: CompileSpec) -> bool:
        """Whether there is a folder that looks whole; `find` looks closer."""
        return has_digests(self._root / blueprint.key)

    def find(self, blueprint: CompileSpec) -> Path | None:
        """The folder of a blueprint; a damaged one is removed and not found."""
        folder = self._root / blueprint.key
        if not self.has(blueprint):
            return None
        if not is_whole(folder):
            self.remove(blueprint)
            return None
        with suppress(OSError):  # a folder of another user serves too
            os.utime(folder)
        return folder

    def begin(self, blueprint: CompileSpec) -> Path:
        """A fresh folder with nothing but the blueprint, to be filled and then `keep` kept.

        Raises:
            OSError: It cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = begin(self._root)
        (folder / BLUEPRINT_NAME).write_text(blueprint.to_json(), encoding="utf-8")
        return folder

    def keep(self, folder: Path, blueprint: CompileSpec) -> Path:
        """Give a filled folder its name.

        Raises:
            OSError: A part is missing, or the disk refuses.
        """
        write_digests(folder, [f"{name}.bin" for name in PART_NAMES])
        place = self._root / blueprint.key
        self.remove(blueprint)
        put(folder, place, DIGESTS_NAME)
        prune(self._root, DIGESTS_NAME, MOST_KEPT)
        return place

    def remove(self, blueprint: CompileSpec) -> None:
        """Forget a blueprint's folder, if there is one."""
        shutil.rmtree(self._root / blueprint.key, ignore_errors=True)


class CompiledPart:
    """A compiled network with the weights that it is to use; written to in place, it uses the new.

    Args:
        artifact: Called with inputs, then weights, all on the device.
        weights: In the order of `weights_of`.
    """

    def __init__(self, artifact: Any, weights: list[Tensor]) -> None:
        self._artifact = artifact
        self._weights = weights

    def __call__(self, *inputs: Tensor) -> Tensor:
        # compiled for one layout; contiguous inputs pass as they are
        outputs = self._artifact(*(tensor.contiguous() for tensor in inputs), *self._weights)
        output: Tensor = outputs if isinstance(outputs, Tensor) else outputs[0]
        return output


def load_parts(folder: Path, own: Parts) -> Parts:
    """The compiled networks of a folder on the weights of the engine's own.

    Raises:
        Any of `LOADING_ERRORS`: The files are not for this Inductor.
    """
    import torch._inductor  # takes seconds
    import torch._inductor.config

    inductor: Any = torch._inductor
    load = inductor.CompiledArtifact.load
    loaded = []
    # nothing is to be compiled, so no compiler is to wait for it in a process beside
    with inductor.config.patch(compile_threads=1):
        for name in PART_NAMES:
            artifact = load(path=str(folder / f"{name}.bin"), format="binary")
            loaded.append(CompiledPart(artifact, list(weights_of(getattr(own, name)).values())))
    return Parts(*loaded)
