"""Which way of blending measured better, by model and kind of device. Imports nothing heavy."""

from typing import Any, Literal, Protocol

Blend = Literal["auto", "picture", "latent", "both"]
BLENDS: tuple[Blend, ...] = ("auto", "picture", "latent", "both")

Way = Literal["picture", "latent", "both"]

MEASURED: dict[tuple[str, str], Way] = {("bundled", "cpu"): "picture"}
"""By `benchmarks/stability.py`: the least flicker among the ways that hold the rate. What was not
measured is not in here."""

UNMEASURED: Way = "picture"


class Named(Protocol):
    """An engine, as far as the choice asks."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> Any: ...


def better_blend(engine: Named) -> tuple[Way, str]:
    """The way that "auto" takes for an engine, and a sentence that says so."""
    kind = str(getattr(engine.device, "type", engine.device))
    measured = MEASURED.get((engine.name, kind))
    why = (
        f"measured better with {engine.name} on {kind}"
        if measured
        else f"no other was measured with {engine.name} on {kind}"
    )
    blend = measured or UNMEASURED
    return blend, f"stability blends by {blend!r}: {why}"
