"""Temporal stability where the model runs: a stream's history as tensors on the engine's device.

    image ──look──► what changed, where it was, whether it is a cut; the noise moved along
    latents, decoder ──blend──► the new picture, mixed with the last one, moved along
    memory     the tensors of one stream; a step reads all of them and writes all of them

`stream.temporal` does the same on the host, to pictures that have come down. Here nothing comes
down but the picture that is shown: no number is read back, no shape depends on a value, and the
branches are selections, so a step can be traced, compiled and captured with the frame. In float32,
but for the picture, which is kept in the bytes that were shown.
"""

from models.temporal.memory import Memory, Shape
from models.temporal.step import (
    Remembering,
    blended,
    looked,
    memory_of,
    noise_of,
    remembering_of,
)
from models.temporal.told import COUNT, Remembered

__all__ = [
    "COUNT",
    "Memory",
    "Remembered",
    "Remembering",
    "Shape",
    "blended",
    "looked",
    "memory_of",
    "noise_of",
    "remembering_of",
]
