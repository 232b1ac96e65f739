"""Other programs: pictures that programs give each other live, and the libraries that carry them.

spec           carried by  on                 library
-------------  ----------  -----------------  ---------------
ndi:NAME       NDI         a network          cyndilib
spout:NAME     Spout       Windows, one GPU   SpoutGL
syphon:NAME    Syphon      macOS, one GPU     syphon-python

Each has a source and a sink of its own; what they have in common is in
`stream.sources.other_program` and `stream.sinks.other_program`.
"""

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stream.errors import StreamError

Carrier = Literal["ndi", "spout", "syphon"]

SPEC = re.compile(r"(ndi|spout|syphon):(.*)", re.IGNORECASE)

TITLE = "Alla Prima"
"""What a program is called that is not named."""


class Library(NamedTuple):
    """What carries the pictures.

    Attributes:
        title: What people call it.
        modules: What is imported; the first is the library itself.
        extra: Of ours, that installs it.
        platform: Of `sys.platform`; "" is any.
        system: What people call that.
    """

    title: str
    modules: tuple[str, ...]
    extra: str
    platform: str = ""
    system: str = ""


LIBRARIES: dict[Carrier, Library] = {
    "ndi": Library("NDI", ("cyndilib",), "ndi"),
    "spout": Library("Spout", ("SpoutGL",), "spout", "win32", "Windows"),
    "syphon": Library("Syphon", ("syphon", "Metal"), "syphon", "darwin", "macOS"),
}

AVAHI_SOCKET = Path("/run/avahi-daemon/socket")
"""By which NDI finds and tells names on Linux."""


def carrier_of(spec: str) -> Carrier | None:
    """What a spec says that it is carried by; ``None`` where it names no other program."""
    found = SPEC.fullmatch(spec)
    return None if found is None else found[1].lower()  # type: ignore[return-value]


def name_of(spec: str) -> str:
    """The name in a spec; "" where it has none."""
    found = SPEC.fullmatch(spec)
    return "" if found is None else found[2].strip()


def load(carrier: Carrier, error: type[StreamError]) -> Any:
    """The library; imported here only.

    Args:
        error: What is raised.

    Raises:
        StreamError: It is not for this system, not installed, or lacks what it needs (and what to
            do).
    """
    library = LIBRARIES[carrier]
    if library.platform and sys.platform != library.platform:
        raise error(f"{library.title} is there on {library.system} only; NDI works here: ndi:NAME.")
    try:
        module, *_ = [importlib.import_module(name) for name in library.modules]
    except (ImportError, OSError) as err:
        raise error(
            f"{library.title} needs {library.modules[0]}; install it with pip install "
            f"'allaprima[{library.extra}]'."
        ) from err
    return module


def refuse_without_discovery(error: type[StreamError], socket: Path = AVAHI_SOCKET) -> None:
    """On Linux, say that NDI will find nothing before it finds nothing.

    Raises:
        StreamError: Avahi's daemon does not run.
    """
    if sys.platform == "linux" and not socket.exists():
        raise error(
            "NDI finds names by avahi-daemon, which does not run; sudo apt install avahi-daemon, "
            "and sudo systemctl start avahi-daemon."
        )
