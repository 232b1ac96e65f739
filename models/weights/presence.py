"""Checks whether a preset's files are on this machine, without loading or fetching anything.

Looks at the names of the files in local folders and in the hub's cache, as a load without a network
would.
"""

from pathlib import Path

from models.errors import ModelError
from models.presets import Preset
from models.weights.file_selection import wanted_parts
from models.weights.hub import Hub, HubName, is_whole


def is_present(preset: Preset) -> bool:
    """True if `load_engine(preset.name)` needs no network."""
    hub = Hub(offline=True)
    try:
        for part, choose in wanted_parts(preset):
            path, place = Path(part).expanduser(), HubName.parse(part)
            if path.is_dir():
                if not is_whole(path, choose):
                    return False
            elif place is not None and place.file is not None and not path.is_file():
                hub.file(place)
            elif place is not None and not path.is_file():
                hub.folder(place, choose)
            elif not path.is_file():
                return False
    except ModelError:
        return False
    return True
