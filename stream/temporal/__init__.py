"""Temporal stability: what a frame keeps of the painted frames before it, so that nothing flickers.

    data ─► shots    is this a new shot, or one that comes back?
         ─► gate     which cells still look as they did when they were painted
         ─► motion   where everything else was one frame before, and how sure that is
         ─► blend    the painted picture mixed with the last one, moved along
            mixing   that, only around what changed
            state    Temporal: what is remembered of one stream, and what follows from it
            settings what experts may turn one by one
            buffers  memory used again from frame to frame

All of it runs on the CPU, on uint8 pictures of the model's size, and starts no thread. Where
nothing changed, the last picture is shown again and the model is not called. `on_device` is for
histories that stay where the model runs (`models.temporal`). Called by
`stream.stylizer`.
"""

from stream.temporal.on_device import OnDevice
from stream.temporal.settings import TemporalSettings
from stream.temporal.state import Decision, Temporal

__all__ = ["Decision", "OnDevice", "Temporal", "TemporalSettings"]
