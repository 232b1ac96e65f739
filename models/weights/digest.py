"""The digest of a loaded model's files: what tells it from another model, wherever it lies."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from models.errors import ModelError
from models.presets import Preset
from models.recipe import file_mark
from models.weights.file_selection import Choose, wanted_parts

DIGEST_CHARACTERS = 16


def weights_digest(preset: Preset) -> str:
    """The digest of a preset's files, which are on this machine.

    Names count inside of a folder, not where the folder is.

    Raises:
        ModelError: A file has gone since the model was loaded.
    """
    digest = hashlib.sha256(repr([lora.rpartition(":")[2] for lora in preset.loras]).encode())
    try:
        for part, choose in wanted_parts(preset):
            for name, path in sorted(_files(part, choose)):
                digest.update(f"{name} {file_mark(path)}\n".encode())
    except OSError as err:
        raise ModelError(f"A file of the model cannot be read again ({err}).") from err
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def _files(part: str, choose: Choose) -> Iterator[tuple[str, Path]]:
    path = Path(part).expanduser()
    if path.is_dir():
        for found in path.rglob("*"):
            if found.is_file() and found.suffix in (".safetensors", ".json", ".txt"):
                yield found.relative_to(path).as_posix(), found
        return
    if path.is_file():
        yield path.name, path
        return
    from models.weights.hub import Hub, HubName  # slow to import

    place, hub = HubName.parse(part), Hub(offline=True)
    if place is None:
        raise ModelError(f"There is no model {part!r} any more.")
    if place.file is not None:
        yield place.file, hub.file(place)
        return
    folder = hub.folder(place, choose)
    names = [found.relative_to(folder).as_posix() for found in folder.rglob("*")]
    for name in choose(sorted(name for name in names if (folder / name).is_file())):
        yield name, folder / name
