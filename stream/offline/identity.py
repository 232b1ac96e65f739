"""Identity: facts about a job hashed to one id. Equal ids paint equal files.

Which facts count, `film.describe_film` says.

Not in it: workers, cluster, the device's number, what is said and where. The input counts by its
contents, not by its name or date.
"""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = ("allaprima", "torch", "openvino", "av", "opencv-python", "numpy", "diffusers")

ID_CHARACTERS = 16


def job_id(facts: dict[str, Any]) -> str:
    """The id of what is described by plain values."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]


def library_versions() -> dict[str, str]:
    """The versions of what takes part in making the bytes."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
