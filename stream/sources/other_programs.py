"""Opens and lists what other programs give: NDI, Spout, Syphon (`stream.media.other_programs`)."""

from typing import Any

from stream.clock import Clock
from stream.devices import VideoDevice
from stream.errors import SourceError
from stream.media.other_programs import (
    LIBRARIES,
    Carrier,
    carrier_of,
    load,
    name_of,
    refuse_without_discovery,
)
from stream.sources.other_program import OtherProgramSource

LISTED_AFTER_S = 2.0
"""How long names of a network are collected."""


def open_other_program(
    spec: str, *, clock: Clock | None = None, sound: bool = False
) -> OtherProgramSource:
    """
    Args:
        sound: Give its sound too, where it has any way to send that: NDI has.

    Raises:
        SourceError: It cannot be had here, or there is none of that name.
        ValueError: The spec names no other program.
    """
    carrier, name = carrier_of(spec), name_of(spec)
    if carrier == "ndi":
        from stream.sources.ndi import NdiSource

        return NdiSource(name, clock=clock, sound=sound)
    if carrier == "spout":
        from stream.sources.spout import SpoutSource

        return SpoutSource(name, clock=clock)
    if carrier == "syphon":
        from stream.sources.syphon import SyphonSource

        return SyphonSource(name, clock=clock)
    raise ValueError(f"got {spec}, expected ndi:NAME, spout:NAME or syphon:NAME")


def program_devices(limit_s: float = LISTED_AFTER_S) -> list[VideoDevice]:
    """What other programs give at the moment, by each library that is installed."""
    found: list[VideoDevice] = []
    for carrier in LIBRARIES:
        try:
            library = load(carrier, SourceError)
            if carrier == "ndi":
                refuse_without_discovery(SourceError)
            names = _names(carrier, library, limit_s)
        except SourceError:
            continue  # it is not here
        title = LIBRARIES[carrier].title
        found += [VideoDevice(f"{carrier}:{name}", name, title, captures=True) for name in names]
    return found


def _names(carrier: Carrier, library: Any, limit_s: float) -> list[str]:
    if carrier == "ndi":
        from stream.sources.ndi import ndi_names

        return ndi_names(library, limit_s)
    if carrier == "spout":
        from stream.sources.spout import spout_names

        return spout_names(library)
    from stream.sources.syphon import syphon_names

    return syphon_names(library)
