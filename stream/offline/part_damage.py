"""What is damaged in one part of a film, and in all of them together."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from stream.sources.decoding import Damage

COUNTED = ("failed_reads", "failed_packets", "concealed", "lost")


def since(now: Damage, before: Damage) -> dict[str, Any]:
    """What came after `before`, as plain values; {} if nothing did."""
    counts = {name: getattr(now, name) - getattr(before, name) for name in COUNTED}
    if not any(counts.values()):
        return {}
    if not now.counts_packets:
        counts["lost"] = counts["failed_packets"]
    first_s = now.first_s if before.first_s is None else before.last_s
    return {**counts, "first_s": first_s, "last_s": now.last_s}


def sentences(damages: Iterable[dict[str, Any]], time_base: Any) -> list[str]:
    """A sentence on all damage together, or none."""
    total = Damage(time_base)
    known = {field.name for field in fields(Damage)}
    for damage in damages:
        for name in COUNTED:
            setattr(total, name, getattr(total, name) + damage.get(name, 0))
        for name, choose in (("first_s", min), ("last_s", max)):
            seen = [at for at in (getattr(total, name), damage.get(name)) if at is not None]
            if name in known and seen:
                setattr(total, name, choose(seen))
    return total.notes()
